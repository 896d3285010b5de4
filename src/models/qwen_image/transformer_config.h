#pragma once

#include <array>
#include <cstdint>

#include "io/json.h"

namespace annulus::qwen_image {

/// The transformer, under the names of transformer/config.json.
struct TransformerConfig {
  std::int64_t patch_size = 2;    // latents per side of a patch
  std::int64_t in_channels = 64;  // of a packed patch
  std::int64_t out_channels = 16;
  int num_layers = 60;
  std::int64_t attention_head_dim = 128, num_attention_heads = 24;
  std::int64_t joint_attention_dim = 3584;                    // of the text
  std::array<std::int64_t, 3> axes_dims_rope = {16, 56, 56};  // frames, height, width
  bool guidance_embeds = false;
  bool zero_cond_t = false;            // condition pictures are modulated as at timestep 0
  bool use_additional_t_cond = false;  // one of two learnt vectors is added to the timestep's
  bool use_layer3d_rope = false;       // pictures are layers; the last one is the condition

  std::int64_t hidden() const noexcept { return num_attention_heads * attention_head_dim; }
  std::int64_t packed_out() const noexcept { return patch_size * patch_size * out_channels; }
};

/// Reads transformer/config.json; absent values take the defaults of the class in diffusers. Throws
/// CorruptFile naming key and file when a value is out of range or contradicts another.
TransformerConfig read_transformer_config(const Json& json);

}  // namespace annulus::qwen_image

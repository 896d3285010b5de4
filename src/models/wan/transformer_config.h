#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "io/json.h"

namespace annulus::wan {

/// The transformer, under the names of transformer/config.json.
struct TransformerConfig {
  std::array<std::int64_t, 3> patch_size = {1, 2, 2};  // latents along frames, height, width
  std::int64_t num_attention_heads = 40, attention_head_dim = 128;
  std::int64_t in_channels = 16;  // of latents and what stands beside them
  std::int64_t out_channels = 16;
  std::int64_t text_dim = 4096, freq_dim = 256, ffn_dim = 13824;
  int num_layers = 40;
  bool cross_attn_norm = true;
  float eps = 1e-6f;
  std::optional<std::int64_t> image_dim;  // of CLIP's rows; absent: no picture is attended to
  std::optional<std::int64_t> added_kv_proj_dim;  // likewise
  std::optional<std::int64_t> pos_embed_seq_len;  // rows of the pictures' learnt positions
  std::int64_t rope_max_seq_len = 1024;           // patches along each axis

  std::int64_t hidden() const noexcept { return num_attention_heads * attention_head_dim; }
  std::int64_t patch_values() const noexcept {
    return patch_size[0] * patch_size[1] * patch_size[2];
  }
};

/// Reads transformer/config.json; absent values take the defaults of the class in diffusers. Throws
/// CorruptFile naming key and file when a value is out of range or contradicts another, Unsupported
/// for another norm of queries and keys.
TransformerConfig read_transformer_config(const Json& json);

}  // namespace annulus::wan

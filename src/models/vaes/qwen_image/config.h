#pragma once

#include <cstdint>
#include <vector>

#include "io/json.h"

namespace annulus::qwen_image {

/// The autoencoder, under the names of vae/config.json.
struct VaeConfig {
  std::int64_t base_dim = 96, z_dim = 16;
  std::int64_t input_channels = 3;     // of the encoder, `in_channels` in Wan's
  std::int64_t output_channels = 3;    // of the decoder, `out_channels` in Wan's
  std::int64_t decoder_base_dim = 96;  // base_dim where nothing is said
  std::int64_t patch_size = 1;         // pixels per side that become channels (Wan 2.2)
  bool is_residual = false;            // levels with shortcuts around them (Wan 2.2)
  bool clamp_tiles = false;            // Wan's class clamps what it did in tiles too
  std::vector<std::int64_t> dim_mult = {1, 2, 4, 4};  // channels of each level / base_dim
  int num_res_blocks = 2;
  std::vector<double> attn_scales = {};  // scales (1, 1/2, ...) of the encoder with attention
  std::vector<bool> temperal_downsample = {false, true, true};  // per step between levels
  std::vector<double> latents_mean, latents_std;                // [z_dim]

  int levels() const noexcept { return static_cast<int>(dim_mult.size()); }
  /// Values that encoder and decoder have per latent along height and width.
  std::int64_t coder_ratio() const noexcept {
    return std::int64_t{1} << temperal_downsample.size();
  }
  /// Pixels per latent along height and width.
  std::int64_t spatial_ratio() const noexcept { return coder_ratio() * patch_size; }
  /// Of pixels, outside encoder and decoder.
  std::int64_t pixel_channels() const noexcept { return input_channels / patch_size / patch_size; }
};

/// Reads vae/config.json of AutoencoderKLQwenImage or AutoencoderKLWan; absent values take the
/// defaults of the class in diffusers. Throws CorruptFile naming key and file when a value is out
/// of range or contradicts another.
VaeConfig read_vae_config(const Json& json);

}  // namespace annulus::qwen_image

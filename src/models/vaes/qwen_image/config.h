#pragma once

#include <cstdint>
#include <vector>

#include "io/json.h"

namespace annulus::qwen_image {

/// The autoencoder, under the names of vae/config.json.
struct VaeConfig {
  std::int64_t base_dim = 96, z_dim = 16, input_channels = 3;
  std::vector<std::int64_t> dim_mult = {1, 2, 4, 4};  // channels of each level / base_dim
  int num_res_blocks = 2;
  std::vector<double> attn_scales = {};  // scales (1, 1/2, ...) of the encoder with attention
  std::vector<bool> temperal_downsample = {false, true, true};  // per step between levels
  std::vector<double> latents_mean, latents_std;                // [z_dim]

  int levels() const noexcept { return static_cast<int>(dim_mult.size()); }
  /// Pixels per latent along height and width.
  std::int64_t spatial_ratio() const noexcept {
    return std::int64_t{1} << temperal_downsample.size();
  }
};

/// Reads vae/config.json; absent values take the defaults of the class in diffusers. Throws
/// CorruptFile naming key and file when a value is out of range or contradicts another.
VaeConfig read_vae_config(const Json& json);

}  // namespace annulus::qwen_image

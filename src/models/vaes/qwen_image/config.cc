#include "models/vaes/qwen_image/config.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kMostChannels = 1 << 16, kMostLevels = 8, kMostBlocks = 64;

std::int64_t size(const Json& json, std::string_view key, std::int64_t fallback,
                  std::int64_t most) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("an integer in 1 ... ", most));
  return value;
}

std::vector<double> statistics(const Json& json, std::string_view key, std::int64_t z_dim,
                               std::vector<double> fallback) {
  const std::optional<Json> member = json.find(key);
  std::vector<double> values = member ? member->as<std::vector<double>>() : std::move(fallback);
  const auto usable = [&](double x) { return std::isfinite(x) && (key != "latents_std" || x > 0); };
  if (static_cast<std::int64_t>(values.size()) != z_dim ||
      !std::all_of(values.begin(), values.end(), usable))
    json.fail(text_of(key, " of z_dim = ", z_dim, " finite numbers, deviations above 0"),
              text_of(values.size(), " numbers"));
  return values;
}

}  // namespace

VaeConfig read_vae_config(const Json& json) {
  VaeConfig c;
  c.base_dim = size(json, "base_dim", c.base_dim, kMostChannels);
  c.z_dim = size(json, "z_dim", c.z_dim, kMostChannels);
  c.clamp_tiles = json.get<std::string>("_class_name", "") == "AutoencoderKLWan";
  c.input_channels = size(json, "input_channels", c.input_channels, kMostChannels);
  c.input_channels = size(json, "in_channels", c.input_channels, kMostChannels);
  c.output_channels = size(json, "out_channels", c.input_channels, kMostChannels);
  c.decoder_base_dim = size(json, "decoder_base_dim", c.base_dim, kMostChannels);
  c.patch_size = size(json, "patch_size", c.patch_size, 16);
  c.is_residual = json.get<bool>("is_residual", c.is_residual);
  const std::int64_t patch = c.patch_size * c.patch_size;
  if (c.input_channels % patch != 0 || c.output_channels != c.input_channels)
    json.fail(
        text_of("as many channels into the encoder as out of the decoder, a multiple of ", patch));
  c.num_res_blocks = static_cast<int>(size(json, "num_res_blocks", c.num_res_blocks, kMostBlocks));
  if (const std::optional<Json> mult = json.find("dim_mult")) {
    c.dim_mult = mult->as<std::vector<std::int64_t>>();
    const auto fits = [&](std::int64_t m) {
      return m >= 1 && m <= kMostChannels / std::max(c.base_dim, c.decoder_base_dim);
    };
    if (c.dim_mult.empty() || static_cast<std::int64_t>(c.dim_mult.size()) > kMostLevels ||
        !std::all_of(c.dim_mult.begin(), c.dim_mult.end(), fits))
      mult->fail(text_of("1 ... ", kMostLevels, " factors of base_dim that give at most ",
                         kMostChannels, " channels"));
  }
  c.attn_scales = json.get<std::vector<double>>("attn_scales", {});
  if (const std::optional<Json> steps = json.find("temperal_downsample"))
    c.temperal_downsample = steps->as<std::vector<bool>>();
  if (c.temperal_downsample.size() + 1 != c.dim_mult.size())
    json.fail(text_of("temperal_downsample of ", c.dim_mult.size() - 1,
                      " values, one less than dim_mult has"),
              text_of(c.temperal_downsample.size()));

  c.latents_mean =
      statistics(json, "latents_mean", c.z_dim,
                 {-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134,
                  -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921});
  c.latents_std = statistics(json, "latents_std", c.z_dim,
                             {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                              3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160});
  return c;
}

}  // namespace annulus::qwen_image

#include "models/vaes/qwen_image/vae.h"

#include <algorithm>
#include <cmath>

#include "models/vaes/qwen_image/divided.h"
#include "nn/elementwise.h"
#include "nn/transfer.h"

namespace annulus::qwen_image {

namespace {

constexpr std::array<std::int64_t, 3> kPoint = {1, 1, 1};
constexpr std::int64_t kFramesPerChunk = 4;  // that the encoder takes after the first

/// Chunks of a video one after another along frames.
HostTensor joined(std::vector<HostTensor> chunks) {
  if (chunks.size() == 1) return std::move(chunks.front());
  std::int64_t frames = 0;
  for (const HostTensor& chunk : chunks) frames += chunk.shape[1];
  HostTensor whole = {chunks.front().shape.with(1, frames), {}};
  whole.values.resize(static_cast<std::size_t>(whole.shape.elements()));
  float* to = whole.values.data();
  for (std::int64_t entry = 0; entry < whole.shape[0]; ++entry)
    for (const HostTensor& chunk : chunks) {
      const std::int64_t count = chunk.shape.elements() / chunk.shape[0];
      to = std::copy_n(chunk.values.data() + entry * count, count, to);
    }
  return whole;
}

HostTensor on_host(const Context& ctx, const Tensor& x) {
  return {x.shape(), to_host(ctx, x)};
}

/// Moments of one tile (or of the whole, or of this rank's rows of it).
HostTensor encode_tile(const Context& ctx, const Vae& vae, const Tensor& pixels,
                       const Band& band = {}) {
  const std::int64_t frames = pixels.shape()[1];
  const std::int64_t chunks = 1 + (frames - 1) / kFramesPerChunk;
  FrameCache cache(static_cast<int>(chunks), band);
  std::vector<HostTensor> parts;
  for (std::int64_t i = 0; i < chunks; ++i) {
    const std::int64_t begin = i == 0 ? 0 : 1 + kFramesPerChunk * (i - 1);
    const std::int64_t end = i == 0 ? 1 : begin + kFramesPerChunk;
    const Tensor x = forward(ctx, vae.encoder, pixels.slice(1, begin, end), cache);
    parts.push_back(on_host(ctx, conv(widened(ctx), x, vae.quant_conv, {})));
  }
  return joined(std::move(parts));
}

/// Pixels of one tile (or of the whole, or of this rank's rows of it), not clamped.
HostTensor decode_tile(const Context& ctx, const Vae& vae, const Tensor& latents, const Tap& tap,
                       const Band& band = {}) {
  const std::int64_t frames = latents.shape()[1];
  FrameCache cache(static_cast<int>(frames), band);
  std::vector<HostTensor> parts;
  for (std::int64_t i = 0; i < frames; ++i) {
    const Tap of_frame = [&](std::string_view name, const Tensor& value) {
      tap(text_of(name, ".frame", i), value);
    };
    const Tensor x = conv(ctx, latents.slice(1, i, i + 1), vae.post_quant_conv, {});
    parts.push_back(on_host(ctx, forward(ctx, vae.decoder, x, cache, tap ? of_frame : Tap{})));
  }
  return joined(std::move(parts));
}

/// Before anything is clamped: a clamp makes a white picture of infinity.
void check_finite(const HostTensor& pixels) {
  require(std::all_of(pixels.values.begin(), pixels.values.end(),
                      [](float x) { return std::isfinite(x); }),
          ErrorCode::NonFinite, "decode: wanted finite numbers, found NaN or Inf in pixels (VAE)");
}

HostTensor encode_in_bands(const Context& ctx, const Vae& vae, const Tensor& pixels,
                           Communicator& ranks) {
  const std::int64_t ratio = vae.config.spatial_ratio();
  const Band band(ranks, pixels.shape()[2] / ratio);
  HostTensor mine;
  if (!band.empty())
    mine = encode_tile(ctx, vae, pixels.slice(2, band.begin() * ratio, band.end() * ratio), band);
  return stacked(ranks, mine, Where::Everywhere);
}

HostTensor decode_in_bands(const Context& ctx, const Vae& vae, const Tensor& latents,
                           Communicator& ranks) {
  const Band band(ranks, latents.shape()[2]);
  HostTensor mine;
  if (!band.empty())
    mine = decode_tile(ctx, vae, latents.slice(2, band.begin(), band.end()), {}, band);
  return stacked(ranks, mine, Where::First);
}

Tensor tile_of(const Tensor& x, std::int64_t top, std::int64_t left, std::int64_t height,
               std::int64_t width) {
  return x.slice(2, top, top + height).slice(3, left, left + width);
}

/// One value per channel as a tensor that broadcasts to [batch, frames, height, width, channels].
Tensor per_channel(const Context& ctx, const std::vector<double>& values) {
  return to_device(ctx, values, {1, 1, 1, 1, static_cast<std::int64_t>(values.size())}, ctx.wide);
}

void check_latents(const VaeConfig& config, const Tensor& x, std::int64_t channels,
                   const char* what) {
  const Shape& s = x.shape();
  require(s.rank() == 5 && s[4] == channels && s.elements() > 0, ErrorCode::InvalidRequest, what,
          ": wanted [batch, frames, height, width, ", channels, "], found ", s);
  require(static_cast<std::int64_t>(config.latents_mean.size()) == config.z_dim,
          ErrorCode::InvalidRequest, what, ": wanted statistics of ", config.z_dim, " channels");
}

}  // namespace

Vae load_vae(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype) {
  const VaeConfig c = read_vae_config(config);
  return {.config = c,
          .encoder = load_encoder(w / "encoder", c, selection, dtype),
          .quant_conv = load_conv(w / "quant_conv", 2 * c.z_dim, 2 * c.z_dim, kPoint),
          .post_quant_conv = load_conv(w / "post_quant_conv", c.z_dim, c.z_dim, kPoint),
          .decoder = load_decoder(w / "decoder", c, selection, dtype)};
}

HostTensor encode(const Context& ctx, const Vae& vae, const Tensor& pixels,
                  const std::optional<Tiling>& tiling, const Progress& progress,
                  Communicator* ranks) {
  check_latents(vae.config, pixels, vae.config.input_channels, "VAE encode");
  const std::int64_t height = pixels.shape()[2], width = pixels.shape()[3];
  if (!tiling ||
      (height <= tiling->tile_sample_min_height && width <= tiling->tile_sample_min_width)) {
    // Sizes between whole rows of latents lose their last rows of pixels; those stay with one rank.
    const bool divides = height % vae.config.spatial_ratio() == 0;
    return ranks != nullptr && ranks->size() > 1 && divides
               ? encode_in_bands(ctx, vae, pixels, *ranks)
               : encode_tile(ctx, vae, pixels);
  }

  const std::int64_t ratio = vae.config.spatial_ratio();
  const TilePlan plan = {.tile_height = tiling->tile_sample_min_height,
                         .tile_width = tiling->tile_sample_min_width,
                         .stride_height = tiling->tile_sample_stride_height,
                         .stride_width = tiling->tile_sample_stride_width,
                         .blend_height = tiling->tile_sample_min_height / ratio -
                                         tiling->tile_sample_stride_height / ratio,
                         .blend_width = tiling->tile_sample_min_width / ratio -
                                        tiling->tile_sample_stride_width / ratio,
                         .keep_height = tiling->tile_sample_stride_height / ratio,
                         .keep_width = tiling->tile_sample_stride_width / ratio,
                         .result_height = height / ratio,
                         .result_width = width / ratio};
  const auto total = static_cast<int>(tile_count(plan, height, width));
  int done = 0;
  return in_tiles(
      plan, height, width,
      [&](std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) {
        progress.at("encode", done++, total);
        return encode_tile(ctx, vae, tile_of(pixels, top, left, rows, columns));
      });
}

HostTensor decode(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress,
                  Communicator* ranks) {
  check_latents(vae.config, latents, vae.config.z_dim, "VAE decode");
  const std::int64_t height = latents.shape()[2], width = latents.shape()[3];
  const std::int64_t ratio = vae.config.spatial_ratio();
  if (!tiling || (height <= tiling->tile_sample_min_height / ratio &&
                  width <= tiling->tile_sample_min_width / ratio)) {
    HostTensor out = ranks == nullptr || ranks->size() == 1
                         ? decode_tile(ctx, vae, latents, progress.tap)
                         : decode_in_bands(ctx, vae, latents, *ranks);
    if (progress.tap)
      progress.tap("dec.pre_clamp", to_device(ctx, out.values, out.shape, ctx.wide));
    check_finite(out);
    for (float& x : out.values) x = std::clamp(x, -1.0f, 1.0f);
    return out;
  }
  const TilePlan plan = {
      .tile_height = tiling->tile_sample_min_height / ratio,
      .tile_width = tiling->tile_sample_min_width / ratio,
      .stride_height = tiling->tile_sample_stride_height / ratio,
      .stride_width = tiling->tile_sample_stride_width / ratio,
      .blend_height = tiling->tile_sample_min_height - tiling->tile_sample_stride_height,
      .blend_width = tiling->tile_sample_min_width - tiling->tile_sample_stride_width,
      .keep_height = tiling->tile_sample_stride_height,
      .keep_width = tiling->tile_sample_stride_width,
      .result_height = height * ratio,
      .result_width = width * ratio};
  const auto total = static_cast<int>(tile_count(plan, height, width));
  const auto make = [&](std::int64_t top, std::int64_t left, std::int64_t rows,
                        std::int64_t columns) {
    return decode_tile(ctx, vae, tile_of(latents, top, left, rows, columns), {});
  };
  const auto turn = [&](int done) { progress.at("decode", done, total); };
  int done = 0;
  HostTensor out = ranks != nullptr && ranks->size() > 1
                       ? in_divided_tiles(*ranks, plan, height, width, turn, make)
                       : in_tiles(plan, height, width,
                                  [&](std::int64_t top, std::int64_t left, std::int64_t rows,
                                      std::int64_t columns) {
                                    turn(done++);
                                    return make(top, left, rows, columns);
                                  });
  check_finite(out);
  return out;
}

Tensor normalised(const Context& ctx, const VaeConfig& config, const Tensor& latents) {
  check_latents(config, latents, config.z_dim, "latents");
  std::vector<double> scale, shift;
  for (std::size_t i = 0; i < config.latents_std.size(); ++i) {
    scale.push_back(1 / config.latents_std[i]);
    shift.push_back(-config.latents_mean[i] / config.latents_std[i]);
  }
  return scale_shift(ctx, latents, per_channel(ctx, scale), per_channel(ctx, shift), ctx.wide);
}

Tensor denormalised(const Context& ctx, const VaeConfig& config, const Tensor& latents) {
  check_latents(config, latents, config.z_dim, "latents");
  return scale_shift(ctx, latents, per_channel(ctx, config.latents_std),
                     per_channel(ctx, config.latents_mean), ctx.wide);
}

}  // namespace annulus::qwen_image

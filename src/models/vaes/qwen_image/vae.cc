#include "models/vaes/qwen_image/vae.h"

#include <algorithm>
#include <cmath>

#include "models/vaes/qwen_image/divided.h"
#include "nn/elementwise.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

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

/// Moments of one tile (or of the whole, or of this rank's rows of it), from frames of `source`,
/// patched.
HostTensor encode_tile(const Context& ctx, const Vae& vae, std::int64_t frames,
                       const FrameSource& source, const Band& band = {}) {
  const std::int64_t chunks = 1 + (frames - 1) / kFramesPerChunk;
  FrameCache cache(static_cast<int>(chunks), band);
  std::vector<HostTensor> parts;
  for (std::int64_t i = 0; i < chunks; ++i) {
    const std::int64_t begin = i == 0 ? 0 : 1 + kFramesPerChunk * (i - 1);
    const std::int64_t end = i == 0 ? 1 : begin + kFramesPerChunk;
    const Tensor x = forward(ctx, vae.encoder, source(begin, end), cache);
    parts.push_back(on_host(ctx, conv(widened(ctx), x, vae.quant_conv, {})));
  }
  return joined(std::move(parts));
}

/// Values of one tile (or of the whole, or of this rank's rows of it), patched and not clamped.
HostTensor decode_tile(const Context& ctx, const Vae& vae, const Tensor& latents) {
  const std::int64_t frames = latents.shape()[1];
  FrameCache cache(static_cast<int>(frames));
  std::vector<HostTensor> parts;
  for (std::int64_t i = 0; i < frames; ++i) {
    const Tensor x = conv(ctx, latents.slice(1, i, i + 1), vae.post_quant_conv, {});
    parts.push_back(on_host(ctx, forward(ctx, vae.decoder, x, cache)));
  }
  return joined(std::move(parts));
}

/// Before anything is clamped: a clamp makes a white picture of infinity.
void check_finite(const HostTensor& pixels) {
  require(std::all_of(pixels.values.begin(), pixels.values.end(),
                      [](float x) { return std::isfinite(x); }),
          ErrorCode::NonFinite, "decode: wanted finite numbers, found NaN or Inf in pixels (VAE)");
}

/// Pixels [batch, frames, height, width, channels] with squares of patch x patch of them as
/// channels, by channel, column, row.
Tensor patched(const Context& ctx, const Tensor& x, std::int64_t patch) {
  if (patch == 1) return x;
  const Shape& s = x.shape();
  const Tensor parts = contiguous(ctx.stream, x)
                           .reshape({s[0] * s[1], s[2] / patch, patch, s[3] / patch, patch, s[4]})
                           .permute({0, 1, 3, 5, 4, 2});
  return contiguous(ctx.stream, parts)
      .reshape({s[0], s[1], s[2] / patch, s[3] / patch, s[4] * patch * patch});
}

/// The inverse of patched(), on the host.
HostTensor unpatched(HostTensor x, std::int64_t patch) {
  if (patch == 1 || x.values.empty()) return x;
  const Shape& s = x.shape;
  const std::int64_t height = s[2], width = s[3], channels = s[4] / patch / patch;
  HostTensor out = {Shape{s[0], s[1], height * patch, width * patch, channels}, {}};
  out.values.resize(x.values.size());
  const float* from = x.values.data();
  for (std::int64_t row = 0; row < s[0] * s[1] * height; ++row)
    for (std::int64_t column = 0; column < width; ++column)
      for (std::int64_t channel = 0; channel < channels; ++channel)
        for (std::int64_t dx = 0; dx < patch; ++dx)
          for (std::int64_t dy = 0; dy < patch; ++dy)
            out.values[static_cast<std::size_t>(
                ((row * patch + dy) * width * patch + column * patch + dx) * channels + channel)] =
                *from++;
  return out;
}

void clamp(HostTensor& x) {
  for (float& value : x.values) value = std::clamp(value, -1.0f, 1.0f);
}

/// Tiles of the values that encoder and decoder work with: Wan's class counts a tile's pixels in
/// patches there when it encodes, in pixels when it decodes.
TilePlan encode_plan(const VaeConfig& config, const Tiling& t, std::int64_t height,
                     std::int64_t width) {
  const std::int64_t ratio = config.coder_ratio();
  return {.tile_height = t.tile_sample_min_height,
          .tile_width = t.tile_sample_min_width,
          .stride_height = t.tile_sample_stride_height,
          .stride_width = t.tile_sample_stride_width,
          .blend_height = t.tile_sample_min_height / ratio - t.tile_sample_stride_height / ratio,
          .blend_width = t.tile_sample_min_width / ratio - t.tile_sample_stride_width / ratio,
          .keep_height = t.tile_sample_stride_height / ratio,
          .keep_width = t.tile_sample_stride_width / ratio,
          .result_height = height / ratio,
          .result_width = width / ratio};
}

TilePlan decode_plan(const VaeConfig& config, const Tiling& t, std::int64_t height,
                     std::int64_t width) {
  const std::int64_t ratio = config.spatial_ratio(), patch = config.patch_size;
  const std::int64_t keep_height = t.tile_sample_stride_height / patch,
                     keep_width = t.tile_sample_stride_width / patch;
  return {.tile_height = t.tile_sample_min_height / ratio,
          .tile_width = t.tile_sample_min_width / ratio,
          .stride_height = t.tile_sample_stride_height / ratio,
          .stride_width = t.tile_sample_stride_width / ratio,
          .blend_height = t.tile_sample_min_height / patch - keep_height,
          .blend_width = t.tile_sample_min_width / patch - keep_width,
          .keep_height = keep_height,
          .keep_width = keep_width,
          .result_height = height * config.coder_ratio(),
          .result_width = width * config.coder_ratio()};
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
  check_latents(vae.config, pixels, vae.config.pixel_channels(), "VAE encode");
  const FrameSource source = [&](std::int64_t begin, std::int64_t end) {
    return pixels.slice(1, begin, end);
  };
  return encode_video(ctx, vae, pixels.shape(), source, tiling, progress, ranks);
}

HostTensor encode_video(const Context& ctx, const Vae& vae, const Shape& shape,
                        const FrameSource& source, const std::optional<Tiling>& tiling,
                        const Progress& progress, Communicator* ranks) {
  const std::int64_t patch = vae.config.patch_size;
  require(shape[2] % patch == 0 && shape[3] % patch == 0, ErrorCode::InvalidRequest,
          "VAE encode: wanted sides that are multiples of ", patch, ", found ", shape);
  const bool several = ranks != nullptr && ranks->size() > 1;
  const auto chunk = [&](std::int64_t begin, std::int64_t end) {
    // Ranks ask together whether to stop, and one without rows does not come here.
    if (!several) progress.at("encode", static_cast<int>(begin), static_cast<int>(shape[1]));
    return patched(ctx, source(begin, end), patch);
  };
  if (!tiling ||
      (shape[2] <= tiling->tile_sample_min_height && shape[3] <= tiling->tile_sample_min_width)) {
    const std::int64_t ratio = vae.config.spatial_ratio();
    // Sizes between whole rows of latents lose their last rows of pixels; those stay with one rank.
    if (!several || shape[2] % ratio != 0) return encode_tile(ctx, vae, shape[1], chunk);
    const Band band(*ranks, shape[2] / ratio);
    const std::int64_t rows = ratio / patch;  // of patches, for one of latents
    const auto own_rows = [&](std::int64_t begin, std::int64_t end) {
      return chunk(begin, end).slice(2, band.begin() * rows, band.end() * rows);
    };
    HostTensor mine;
    if (!band.empty()) mine = encode_tile(ctx, vae, shape[1], own_rows, band);
    return stacked(*ranks, mine, Where::Everywhere);
  }

  const std::int64_t height = shape[2] / patch, width = shape[3] / patch;
  const TilePlan plan = encode_plan(vae.config, *tiling, height, width);
  const auto total = static_cast<int>(tile_count(plan, height, width));
  int done = 0;
  return in_tiles(
      plan, height, width,
      [&](std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) {
        progress.at("encode", done++, total);
        return encode_tile(ctx, vae, shape[1], [&](std::int64_t begin, std::int64_t end) {
          return tile_of(patched(ctx, source(begin, end), patch), top, left, rows, columns);
        });
      });
}

struct VideoDecoder::State {
  const Context& ctx;
  const Vae& vae;
  Communicator* ranks;
  Band band;
  FrameCache cache;
  std::int64_t frame = 0;
};

VideoDecoder::VideoDecoder(const Context& ctx, const Vae& vae, std::int64_t frames,
                           std::int64_t rows, Communicator* ranks) {
  const bool divided = ranks != nullptr && ranks->size() > 1;
  const Band band = divided ? Band(*ranks, rows) : Band();
  state_ = std::make_unique<State>(
      State{ctx, vae, divided ? ranks : nullptr, band, FrameCache(static_cast<int>(frames), band)});
}

VideoDecoder::~VideoDecoder() = default;

HostTensor VideoDecoder::next(const Tensor& latents, const Tap& tap) {
  State& s = *state_;
  const Tap of_frame = [&](std::string_view name, const Tensor& value) {
    tap(text_of(name, ".frame", s.frame), value);
  };
  HostTensor made;
  if (!s.band.empty()) {
    const Tensor mine =
        s.ranks != nullptr ? latents.slice(2, s.band.begin(), s.band.end()) : latents;
    const Tensor x = conv(s.ctx, mine, s.vae.post_quant_conv, {});
    made = on_host(s.ctx, forward(s.ctx, s.vae.decoder, x, s.cache, tap ? of_frame : Tap{}));
  }
  if (s.ranks != nullptr) made = stacked(*s.ranks, made, Where::First);
  ++s.frame;
  if (tap) tap("dec.pre_clamp", to_device(s.ctx, made.values, made.shape, s.ctx.wide));
  check_finite(made);
  made = unpatched(std::move(made), s.vae.config.patch_size);
  clamp(made);
  return made;
}

namespace {

void decode_tiles(const Context& ctx, const Vae& vae, const Tensor& latents, const Tiling& tiling,
                  const Progress& progress, Communicator* ranks, const FrameSink& take) {
  const std::int64_t height = latents.shape()[2], width = latents.shape()[3];
  const TilePlan plan = decode_plan(vae.config, tiling, height, width);
  const auto total = static_cast<int>(tile_count(plan, height, width));
  const auto make = [&](std::int64_t top, std::int64_t left, std::int64_t rows,
                        std::int64_t columns) {
    return decode_tile(ctx, vae, tile_of(latents, top, left, rows, columns));
  };
  const auto turn = [&](int done) { progress.at("decode", done, total); };
  HostTensor out;
  if (ranks != nullptr && ranks->size() > 1) {
    out = in_divided_tiles(*ranks, plan, height, width, turn, make);
  } else {
    int done = 0;
    out =
        in_tiles(plan, height, width,
                 [&](std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) {
                   turn(done++);
                   return make(top, left, rows, columns);
                 });
  }
  check_finite(out);
  out = unpatched(std::move(out), vae.config.patch_size);
  if (vae.config.clamp_tiles) clamp(out);
  take(std::move(out));
}

}  // namespace

void decode_video(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress,
                  Communicator* ranks, const FrameSink& take) {
  check_latents(vae.config, latents, vae.config.z_dim, "VAE decode");
  const Shape& s = latents.shape();
  const std::int64_t ratio = vae.config.spatial_ratio();
  if (tiling && (s[2] > tiling->tile_sample_min_height / ratio ||
                 s[3] > tiling->tile_sample_min_width / ratio))
    return decode_tiles(ctx, vae, latents, *tiling, progress, ranks, take);
  VideoDecoder decoder(ctx, vae, s[1], s[2], ranks);
  std::vector<HostTensor> unclamped;  // for the tap
  const Tap tap = [&](std::string_view name, const Tensor& value) {
    if (name == "dec.pre_clamp")
      unclamped.push_back(on_host(ctx, value));
    else
      progress.tap(name, value);
  };
  for (std::int64_t i = 0; i < s[1]; ++i) {
    if (s[1] > 1) progress.at("decode", static_cast<int>(i), static_cast<int>(s[1]));
    take(decoder.next(latents.slice(1, i, i + 1), progress.tap ? tap : Tap{}));
  }
  if (unclamped.empty()) return;
  const HostTensor whole = joined(std::move(unclamped));
  progress.tap("dec.pre_clamp", to_device(ctx, whole.values, whole.shape, ctx.wide));
}

HostTensor decode(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress,
                  Communicator* ranks) {
  std::vector<HostTensor> parts;
  decode_video(ctx, vae, latents, tiling, progress, ranks, [&](HostTensor frames) {
    if (!frames.values.empty()) parts.push_back(std::move(frames));
  });
  return parts.empty() ? HostTensor{} : joined(std::move(parts));
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

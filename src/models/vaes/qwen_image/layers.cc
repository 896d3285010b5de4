#include "models/vaes/qwen_image/layers.h"

#include <algorithm>

#include "nn/elementwise.h"
#include "parallel/attend.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

constexpr float kNormEps = 1e-12f;         // torch's normalize
constexpr std::int64_t kCachedFrames = 2;  // what a kernel of three taps looks back

/// Padding along height and width so that they stay as they are.
ConvGeometry same_size(const Conv& layer, std::int64_t frames_before) {
  const std::int64_t h = layer.weight.shape()[3] / 2, w = layer.weight.shape()[4] / 2;
  return {.pad_before = {frames_before, h, w}, .pad_after = {0, h, w}};
}

/// The last `count` frames (fewer if there are not as many), in memory of their own.
Tensor last_frames(const Context& ctx, const Tensor& x, std::int64_t count) {
  const std::int64_t frames = x.shape()[1];
  return clone(ctx.stream, x.slice(1, std::max<std::int64_t>(0, frames - count), frames));
}

/// Room for the cached frames (already there) and `frames` new ones.
Tensor after_cached(const Context& ctx, const Shape& shape, DType dtype, const Tensor& cached) {
  const std::int64_t before = cached.defined() ? cached.shape()[1] : 0;
  Tensor joined = Tensor::empty(shape.with(1, before + shape[1]), dtype, ctx.device);
  if (before > 0) {
    Tensor head = joined.slice(1, 0, before);
    copy(ctx.stream, cached, head);
  }
  return joined;
}

/// The convolution over cached and new frames that lie in one tensor already.
Tensor conv_joined(const Context& ctx, const Tensor& joined, const Conv& layer,
                   const FrameCache& cache, Tensor& slot) {
  const std::int64_t cached = slot.defined() ? slot.shape()[1] : 0;
  ConvGeometry geometry = same_size(layer, layer.weight.shape()[2] - 1 - cached);
  const Band& band = cache.band();
  const bool looks_around = layer.weight.shape()[3] > 1;
  if (looks_around && band.above()) geometry.pad_before[1] = 0;
  if (looks_around && band.below()) geometry.pad_after[1] = 0;
  Tensor out = conv(ctx, looks_around ? with_halo(ctx, band, joined) : joined, layer, geometry);
  if (!cache.last()) slot = last_frames(ctx, joined, kCachedFrames);
  return out;
}

}  // namespace

void FrameCache::rewind() noexcept {
  ++chunk_;
  next_ = 0;
}

Tensor& FrameCache::slot() {
  if (next_ == slots_.size()) slots_.emplace_back();
  return slots_[next_++];
}

Tensor causal_conv(const Context& ctx, const Tensor& x, const Conv& layer, FrameCache& cache) {
  Tensor& slot = cache.slot();
  if (!slot.defined()) return conv_joined(ctx, x, layer, cache, slot);
  const std::int64_t cached = slot.shape()[1];
  Tensor joined = after_cached(ctx, x.shape(), x.dtype(), slot);
  Tensor tail = joined.slice(1, cached, joined.shape()[1]);
  copy(ctx.stream, x, tail);
  return conv_joined(ctx, joined, layer, cache, slot);
}

RmsNorm load_channel_norm(const WeightScope& w, std::int64_t channels, int axes) {
  const Tensor gamma =
      axes == 3 ? w.get("gamma", Shape{channels, 1, 1, 1}) : w.get("gamma", Shape{channels, 1, 1});
  return {gamma.reshape({channels}), kNormEps};
}

Tensor norm_silu_conv(const Context& ctx, Tensor x, const RmsNorm& norm, const Conv& layer,
                      FrameCache& cache, DType dtype) {
  Tensor& slot = cache.slot();
  const std::int64_t cached = slot.defined() ? slot.shape()[1] : 0;
  const bool in_place = cached == 0 && x.dtype() == ctx.dtype && x.buffer().use_count() == 1;
  Tensor joined = in_place ? x : after_cached(ctx, x.shape(), ctx.dtype, slot);
  Tensor tail = joined.slice(1, cached, joined.shape()[1]);
  l2_norm_into(ctx, x, norm, Activation::Silu, tail);
  x = {};
  Context result = ctx;
  result.dtype = dtype;
  return conv_joined(result, joined, layer, cache, slot);
}

ResidualBlock load_residual_block(const WeightScope& w, std::int64_t in, std::int64_t out) {
  const std::array<std::int64_t, 3> cube = {3, 3, 3}, point = {1, 1, 1};
  ResidualBlock block = {.norm1 = load_channel_norm(w / "norm1", in, 3),
                         .conv1 = load_conv(w / "conv1", in, out, cube),
                         .norm2 = load_channel_norm(w / "norm2", out, 3),
                         .conv2 = load_conv(w / "conv2", out, out, cube),
                         .conv_shortcut = std::nullopt};
  if (in != out) block.conv_shortcut = load_conv(w / "conv_shortcut", in, out, point);
  return block;
}

Tensor forward(const Context& ctx, const ResidualBlock& block, Tensor x, FrameCache& cache) {
  const Tensor shortcut =
      block.conv_shortcut ? conv(ctx, x, *block.conv_shortcut, ConvGeometry{}) : x;
  Tensor y = norm_silu_conv(ctx, std::move(x), block.norm1, block.conv1, cache, ctx.dtype);
  y = norm_silu_conv(ctx, std::move(y), block.norm2, block.conv2, cache, ctx.dtype);
  add(ctx, y, shortcut);
  return y;
}

AttentionBlock load_attention_block(const WeightScope& w, std::int64_t channels,
                                    const AttentionSelection& selection, DType dtype) {
  const auto product = [](const WeightScope& scope, std::int64_t in, std::int64_t out) -> Linear {
    return {.weight = scope.get("weight", Shape{out, in, 1, 1}).reshape({out, in}),
            .bias = scope.get("bias", Shape{out}),
            .adapters = {}};
  };
  return {.norm = load_channel_norm(w / "norm", channels, 2),
          .to_qkv = product(w / "to_qkv", channels, 3 * channels),
          .proj = product(w / "proj", channels, channels),
          .attention = selection.choose(
              w.name(), {.heads = 1, .kv_heads = 1, .head_dim = channels, .dtype = dtype})};
}

Tensor forward(const Context& ctx, const AttentionBlock& block, Tensor x, const Band& band) {
  const Shape& shape = x.shape();
  const std::int64_t frames = shape[0] * shape[1], pixels = shape[2] * shape[3],
                     channels = shape[4];
  Tensor rows = x.reshape({frames, pixels, channels});
  Tensor mixed;  // [frames, pixels, 1, channels]
  {
    const Tensor qkv = linear(ctx, l2_norm(ctx, rows, block.norm, Activation::None), block.to_qkv);
    const auto part = [&](const Tensor& from, int i) {
      return from.slice(2, i * channels, (i + 1) * channels).unsqueeze(2);
    };
    if (band.divided()) {
      const Tensor kv = joined(ctx, band, qkv.slice(2, channels, 3 * channels), 1);
      mixed = attend(ctx, block.attention, {.q = part(qkv, 0), .k = part(kv, 0), .v = part(kv, 1)});
    } else {
      mixed =
          attend(ctx, block.attention, {.q = part(qkv, 0), .k = part(qkv, 1), .v = part(qkv, 2)});
    }
  }
  add(ctx, rows, linear(ctx, mixed.reshape({frames, pixels, channels}), block.proj));
  return x;
}

MidBlock load_mid_block(const WeightScope& w, std::int64_t channels,
                        const AttentionSelection& selection, DType dtype) {
  return {.resnet_0 = load_residual_block(w / "resnets.0", channels, channels),
          .resnet_1 = load_residual_block(w / "resnets.1", channels, channels),
          .attention = load_attention_block(w / "attentions.0", channels, selection, dtype)};
}

Tensor forward(const Context& ctx, const MidBlock& block, Tensor x, FrameCache& cache) {
  x = forward(ctx, block.resnet_0, std::move(x), cache);
  x = forward(ctx, block.attention, std::move(x), cache.band());
  return forward(ctx, block.resnet_1, std::move(x), cache);
}

Downsample load_downsample(const WeightScope& w, std::int64_t channels, bool temporal) {
  const std::array<std::int64_t, 2> square = {3, 3};
  const std::array<std::int64_t, 3> line = {3, 1, 1};
  Downsample layer = {load_conv(w / "resample.1", channels, channels, square), std::nullopt};
  if (temporal) layer.time_conv = load_conv(w / "time_conv", channels, channels, line);
  return layer;
}

Tensor forward(const Context& ctx, const Downsample& layer, Tensor x, FrameCache& cache) {
  const Band& band = cache.band();
  Tensor seen = with_halo(ctx, band, x);
  // It looks at the row below alone.
  if (band.above()) seen = seen.slice(2, 1, seen.shape()[2]);
  x = conv(ctx, seen, layer.resample,
           {.stride = {1, 2, 2}, .pad_after = {0, band.below() ? 0 : 1, 1}});
  if (!layer.time_conv) return x;
  Tensor& slot = cache.slot();
  if (cache.first()) {  // the first frame stands for itself
    if (!cache.last()) slot = last_frames(ctx, x, 1);
    return x;
  }
  Tensor joined = after_cached(ctx, x.shape(), x.dtype(), slot);
  Tensor tail = joined.slice(1, slot.shape()[1], joined.shape()[1]);
  copy(ctx.stream, x, tail);
  if (!cache.last()) slot = last_frames(ctx, x, 1);
  return conv(ctx, joined, *layer.time_conv, {.stride = {2, 1, 1}});
}

}  // namespace annulus::qwen_image

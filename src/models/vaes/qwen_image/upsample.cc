#include <algorithm>

#include "models/vaes/qwen_image/layers.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kBandBytes = std::int64_t{16} << 20;  // of repeated pixels at a time

/// Each frame as two: channels [0, c) and [c, 2c) of [batch, frames, h, w, 2c] become neighbours in
/// time.
Tensor interleave_frames(const Context& ctx, const Tensor& x) {
  const Shape& s = x.shape();
  const std::int64_t channels = s[4] / 2;
  const Tensor out = Tensor::empty({s[0], 2 * s[1], s[2], s[3], channels}, x.dtype(), ctx.device);
  const Tensor pairs = out.reshape({s[0], s[1], 2, s[2], s[3], channels});
  for (int i = 0; i < 2; ++i) {
    Tensor to = pairs.select(2, i);
    copy(ctx.stream, x.slice(4, i * channels, (i + 1) * channels), to);
  }
  return out;
}

/// Rows of x whose repeated pixels take about kBandBytes.
std::int64_t band_rows(const Tensor& x) {
  const Shape& s = x.shape();
  const std::int64_t row_bytes =
      s[0] * s[1] * s[3] * s[4] * 4 * static_cast<std::int64_t>(size_of(x.dtype()));
  return std::max<std::int64_t>(8, kBandBytes / std::max<std::int64_t>(1, row_bytes));
}

}  // namespace

Tensor doubled(const Context& ctx, const Tensor& x, const Conv& layer, std::int64_t band,
               bool above, bool below) {
  const Shape& s = x.shape();
  const std::int64_t first = above ? 1 : 0, last = s[2] - (below ? 1 : 0);
  Tensor out = Tensor::empty({s[0], s[1], 2 * (last - first), 2 * s[3], layer.weight.shape()[0]},
                             ctx.dtype, ctx.device);
  for (std::int64_t begin = first; begin < last; begin += band) {
    const std::int64_t end = std::min(last, begin + band);
    const std::int64_t before = begin > 0 ? 1 : 0, after = end < s[2] ? 1 : 0;
    const Tensor rows = upsample_nearest(ctx, x.slice(2, begin - before, end + after), 2);
    // One repeated row of each neighbour is what a 3 x 3 kernel sees beyond the band.
    const Tensor seen = rows.slice(2, before, rows.shape()[2] - after);
    Tensor to = out.slice(2, 2 * (begin - first), 2 * (end - first));
    conv_into(ctx, seen, layer, {.pad_before = {0, 1 - before, 1}, .pad_after = {0, 1 - after, 1}},
              to);
  }
  return out;
}

Upsample load_upsample(const WeightScope& w, std::int64_t channels, std::int64_t out,
                       bool temporal) {
  const std::array<std::int64_t, 2> square = {3, 3};
  const std::array<std::int64_t, 3> line = {3, 1, 1};
  Upsample layer = {load_conv(w / "resample.1", channels, out, square), std::nullopt};
  if (temporal) layer.time_conv = load_conv(w / "time_conv", channels, 2 * channels, line);
  return layer;
}

Tensor forward(const Context& ctx, const Upsample& layer, Tensor x, FrameCache& cache) {
  if (layer.time_conv) {
    if (cache.first()) {
      cache.slot();  // the first frame stays one, and later ones see zeros in its place
    } else {
      x = interleave_frames(ctx, causal_conv(ctx, x, *layer.time_conv, cache));
    }
  }
  const Band& band = cache.band();
  const Tensor seen = with_halo(ctx, band, x);
  return doubled(ctx, seen, layer.resample, band_rows(x), band.above(), band.below());
}

}  // namespace annulus::qwen_image

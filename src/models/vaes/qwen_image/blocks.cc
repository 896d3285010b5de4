#include <algorithm>

#include "models/vaes/qwen_image/layers.h"
#include "nn/elementwise.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

/// Frames of zeros before x, so that they fill blocks.
Tensor filled_up(const Context& ctx, const Tensor& x, std::int64_t frames) {
  const std::int64_t missing = (frames - x.shape()[1] % frames) % frames;
  if (missing == 0) return x;
  Tensor out = Tensor::empty(x.shape().with(1, missing + x.shape()[1]), x.dtype(), ctx.device);
  Tensor head = out.slice(1, 0, missing), tail = out.slice(1, missing, out.shape()[1]);
  ctx.device.fill(ctx.stream, head, 0);
  copy(ctx.stream, x, tail);
  return out;
}

}  // namespace

Tensor averaged_blocks(const Context& ctx, const Tensor& x, const Blocks& b, std::int64_t out) {
  const Tensor whole = filled_up(ctx, x, b.frames);
  const Shape& s = whole.shape();
  // A latent's values in the reference's order: by channel, then frame, row and column of a block.
  const Tensor blocks =
      contiguous(ctx.stream, contiguous(ctx.stream, whole)
                                 .reshape({s[0], s[1] / b.frames, b.frames, s[2] / b.pixels,
                                           b.pixels, s[3] / b.pixels, b.pixels, s[4]})
                                 .permute({0, 1, 3, 5, 7, 2, 4, 6}));
  const std::int64_t group = s[4] * b.values() / out;
  const Shape result = {s[0], s[1] / b.frames, s[2] / b.pixels, s[3] / b.pixels, out};
  const Tensor groups = blocks.reshape({result[0], result[1], result[2], result[3], out, group});
  const auto share = static_cast<float>(1.0 / static_cast<double>(group));
  Tensor sum;
  for (std::int64_t first = 0; first < group; ++first) {
    const Tensor one = groups.select(5, first);
    sum = sum.defined() ? combine(ctx, {{1.0f, &sum}, {share, &one}}, ctx.wide)
                        : combine(ctx, {{share, &one}}, ctx.wide);
  }
  return cast(ctx.stream, sum, x.dtype());
}

void add_repeated(const Context& ctx, const Tensor& from, const Blocks& b, Tensor& x) {
  const Shape &s = from.shape(), &to = x.shape();
  const std::int64_t out = to[4], repeats = out * b.values() / s[4];
  const Tensor repeated =
      contiguous(ctx.stream, from.unsqueeze(5).expand({s[0], s[1], s[2], s[3], s[4], repeats}));
  // The repeated channels are, by channel of the result, the frames, rows and columns of a block.
  Tensor blocks = repeated.reshape({s[0], s[1], s[2], s[3], out, b.frames, b.pixels, b.pixels})
                      .permute({0, 1, 5, 2, 6, 3, 7, 4});
  const std::int64_t frames = to[1] / s[1];  // of a block that are wanted, its last ones
  blocks = blocks.slice(2, b.frames - frames, b.frames);
  const Tensor place = x.reshape(blocks.shape());
  const Tensor sum = combine(ctx, {{1.0f, &place}, {1.0f, &blocks}}, x.dtype());
  x = sum.reshape(to);
}

}  // namespace annulus::qwen_image

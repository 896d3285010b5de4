#include "nn/conv.h"

namespace annulus {

namespace {

void check_input(const Tensor& x, std::int64_t in) {
  require(x.shape().rank() == 5 && x.shape()[4] == in, ErrorCode::InvalidRequest,
          "conv: wanted [batch, frames, height, width, ", in, "], found ", x.shape());
}

}  // namespace

Conv load_conv(const WeightScope& w, std::int64_t in, std::int64_t out,
               std::array<std::int64_t, 3> kernel) {
  return {w.get("weight", Shape{out, in, kernel[0], kernel[1], kernel[2]}),
          w.get("bias", Shape{out})};
}

Conv load_conv(const WeightScope& w, std::int64_t in, std::int64_t out,
               std::array<std::int64_t, 2> kernel) {
  const Tensor weight = w.get("weight", Shape{out, in, kernel[0], kernel[1]});
  return {weight.unsqueeze(2), w.get("bias", Shape{out})};
}

Tensor conv(const Context& ctx, const Tensor& x, const Conv& layer, const ConvGeometry& geometry) {
  check_input(x, layer.weight.shape()[1]);
  std::array<std::int64_t, 3> extent{};
  for (std::size_t i = 0; i < 3; ++i) {
    const int axis = static_cast<int>(i);
    const std::int64_t padded =
        x.shape()[axis + 1] + geometry.pad_before[i] + geometry.pad_after[i];
    const std::int64_t kernel = layer.weight.shape()[axis + 2];
    require(padded >= kernel, ErrorCode::InvalidRequest, "conv: wanted at least ", kernel,
            " rows along axis ", axis + 1, " of ", x.shape(), ", found ", padded, " with padding");
    extent[i] = (padded - kernel) / geometry.stride[i] + 1;
  }
  Tensor out =
      Tensor::empty({x.shape()[0], extent[0], extent[1], extent[2], layer.weight.shape()[0]},
                    ctx.dtype, ctx.device);
  required_op(ctx.ops.conv, "conv")(ctx.stream, ctx.workspace,
                                    {.x = x,
                                     .weight = layer.weight,
                                     .bias = layer.bias ? &*layer.bias : nullptr,
                                     .stride = geometry.stride,
                                     .pad_before = geometry.pad_before,
                                     .pad_after = geometry.pad_after,
                                     .out = out});
  return out;
}

Tensor upsample_nearest(const Context& ctx, const Tensor& x, int factor) {
  const Shape& s = x.shape();
  require(s.rank() == 5 && factor >= 1, ErrorCode::InvalidRequest,
          "upsample: wanted 5 axes and a factor of at least 1, found ", s, " and ", factor);
  Tensor out =
      Tensor::empty({s[0], s[1], s[2] * factor, s[3] * factor, s[4]}, x.dtype(), ctx.device);
  required_op(ctx.ops.upsample_nearest, "upsample_nearest")(ctx.stream, ctx.workspace,
                                                            {.x = x, .factor = factor, .out = out});
  return out;
}

}  // namespace annulus

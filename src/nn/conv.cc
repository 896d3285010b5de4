#include "nn/conv.h"

namespace annulus {

namespace {

Shape result_shape(const Tensor& x, const Conv& layer, const ConvGeometry& geometry) {
  const Shape &shape = x.shape(), &kernel = layer.weight.shape();
  require(shape.rank() == 5 && shape[4] == kernel[1], ErrorCode::InvalidRequest,
          "conv: wanted [batch, frames, height, width, ", kernel[1], "], found ", shape);
  std::array<std::int64_t, 3> extent{};
  for (std::size_t i = 0; i < 3; ++i) {
    const int axis = static_cast<int>(i);
    const std::int64_t padded = shape[axis + 1] + geometry.pad_before[i] + geometry.pad_after[i];
    require(padded >= kernel[axis + 2], ErrorCode::InvalidRequest, "conv: wanted at least ",
            kernel[axis + 2], " rows along axis ", axis + 1, " of ", shape, ", found ", padded,
            " with padding");
    extent[i] = (padded - kernel[axis + 2]) / geometry.stride[i] + 1;
  }
  return {shape[0], extent[0], extent[1], extent[2], kernel[0]};
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

void conv_into(const Context& ctx, const Tensor& x, const Conv& layer, const ConvGeometry& geometry,
               Tensor& out) {
  const Shape want = result_shape(x, layer, geometry);
  require(out.shape() == want, ErrorCode::InvalidRequest, "conv: wanted a result of ", want,
          ", found ", out.shape());
  required_op(ctx.ops.conv, "conv")(ctx.stream, ctx.workspace,
                                    {.x = x,
                                     .weight = layer.weight,
                                     .bias = layer.bias ? &*layer.bias : nullptr,
                                     .stride = geometry.stride,
                                     .pad_before = geometry.pad_before,
                                     .pad_after = geometry.pad_after,
                                     .out = out});
}

Tensor conv(const Context& ctx, const Tensor& x, const Conv& layer, const ConvGeometry& geometry) {
  Tensor out = Tensor::empty(result_shape(x, layer, geometry), ctx.dtype, ctx.device);
  conv_into(ctx, x, layer, geometry, out);
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

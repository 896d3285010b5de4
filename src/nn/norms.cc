#include "nn/norms.h"

namespace annulus {

namespace {

Tensor like(const Context& ctx, const Tensor& x) {
  return Tensor::empty(x.shape(), ctx.dtype, ctx.device);
}

void check_channels(const char* what, const Tensor& x, const Tensor& weight) {
  require(weight.shape() == Shape{x.shape()[-1]}, ErrorCode::InvalidRequest, what,
          ": wanted [..., ", weight.shape()[0], "], found ", x.shape());
}

void run_rms(const Context& ctx, const Tensor& x, const RmsNorm& norm, bool l2,
             Activation activation, Tensor& out) {
  check_channels("rms_norm", x, norm.weight);
  require(out.shape() == x.shape(), ErrorCode::InvalidRequest, "rms_norm: wanted a result of ",
          x.shape(), ", found ", out.shape());
  required_op(ctx.ops.rms_norm, "rms_norm")(ctx.stream, ctx.workspace,
                                            {.x = x,
                                             .weight = &norm.weight,
                                             .eps = norm.eps,
                                             .l2 = l2,
                                             .activation = activation,
                                             .out = out});
}

}  // namespace

RmsNorm load_rms_norm(const WeightScope& w, std::int64_t channels, float eps) {
  return {w.get("weight", Shape{channels}), eps};
}

LayerNorm load_layer_norm(const WeightScope& w, std::int64_t hidden, float eps) {
  return {w.get("weight", Shape{hidden}), w.get("bias", Shape{hidden}), eps};
}

Tensor rms_norm(const Context& ctx, const Tensor& x, const RmsNorm& norm) {
  Tensor out = like(ctx, x);
  run_rms(ctx, x, norm, false, Activation::None, out);
  return out;
}

Tensor l2_norm(const Context& ctx, const Tensor& x, const RmsNorm& norm, Activation activation) {
  Tensor out = like(ctx, x);
  run_rms(ctx, x, norm, true, activation, out);
  return out;
}

void l2_norm_into(const Context& ctx, const Tensor& x, const RmsNorm& norm, Activation activation,
                  Tensor& out) {
  run_rms(ctx, x, norm, true, activation, out);
}

Tensor layer_norm(const Context& ctx, const Tensor& x, const LayerNorm& norm) {
  if (norm.weight) check_channels("layer_norm", x, *norm.weight);
  Tensor out = like(ctx, x);
  required_op(ctx.ops.layer_norm, "layer_norm")(ctx.stream, ctx.workspace,
                                                {.x = x,
                                                 .weight = norm.weight ? &*norm.weight : nullptr,
                                                 .bias = norm.bias ? &*norm.bias : nullptr,
                                                 .shift = nullptr,
                                                 .scale = nullptr,
                                                 .eps = norm.eps,
                                                 .out = out});
  return out;
}

void modulated_norm_into(const Context& ctx, const Tensor& x, float eps, const Tensor& shift,
                         const Tensor& scale, Tensor& out) {
  const Shape& shape = x.shape();
  const auto fits = [&](const Tensor& part) {
    return part.shape() == shape || part.shape() == shape.with(1, 1);
  };
  require(shape.rank() == 3 && fits(shift) && fits(scale) && out.shape() == shape,
          ErrorCode::InvalidRequest, "modulated_norm: wanted shift and scale of ", shape,
          " or with seq 1, found ", shift.shape(), " and ", scale.shape(), " -> ", out.shape());
  required_op(ctx.ops.layer_norm, "layer_norm")(ctx.stream, ctx.workspace,
                                                {.x = x,
                                                 .weight = nullptr,
                                                 .bias = nullptr,
                                                 .shift = &shift,
                                                 .scale = &scale,
                                                 .eps = eps,
                                                 .out = out});
}

Tensor modulated_norm(const Context& ctx, const Tensor& x, float eps, const Tensor& shift,
                      const Tensor& scale) {
  Tensor out = like(ctx, x);
  modulated_norm_into(ctx, x, eps, shift, scale, out);
  return out;
}

}  // namespace annulus

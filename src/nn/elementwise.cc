#include "nn/elementwise.h"

#include <array>
#include <span>

namespace annulus {

Tensor activate(const Context& ctx, const Tensor& x, Activation activation) {
  Tensor out = Tensor::empty(x.shape(), ctx.dtype, ctx.device);
  required_op(ctx.ops.activate, "activate")(ctx.stream, ctx.workspace,
                                            {.x = x, .activation = activation, .out = out});
  return out;
}

Tensor gated_activate(const Context& ctx, const Tensor& gate, const Tensor& up,
                      Activation activation) {
  require(gate.shape() == up.shape(), ErrorCode::InvalidRequest,
          "gated_activate: wanted equal shapes, found ", gate.shape(), " and ", up.shape());
  Tensor out = Tensor::empty(gate.shape(), ctx.dtype, ctx.device);
  required_op(ctx.ops.gated_activate, "gated_activate")(
      ctx.stream, ctx.workspace, {.gate = gate, .up = up, .activation = activation, .out = out});
  return out;
}

void add_gated(const Context& ctx, Tensor& x, const Tensor& y, const Tensor& gate) {
  require(x.shape().rank() == 3 && y.shape() == x.shape() &&
              (gate.shape() == x.shape() || gate.shape() == x.shape().with(1, 1)),
          ErrorCode::InvalidRequest, "add_gated: wanted y and gate for ", x.shape(), ", found ",
          y.shape(), " and ", gate.shape());
  required_op(ctx.ops.add_gated, "add_gated")(ctx.stream, ctx.workspace,
                                              {.x = x, .y = y, .gate = gate});
}

void add(const Context& ctx, Tensor& x, const Tensor& y) {
  require(x.shape() == y.shape(), ErrorCode::InvalidRequest, "add: wanted equal shapes, found ",
          x.shape(), " and ", y.shape());
  const std::array<Term, 2> terms = {Term{1.0f, &x}, Term{1.0f, &y}};
  required_op(ctx.ops.combine, "combine")(ctx.stream, ctx.workspace, {.terms = terms, .out = x});
}

Tensor combine(const Context& ctx, std::initializer_list<Term> terms, DType dtype) {
  require(terms.size() >= 1 && terms.size() <= 8, ErrorCode::InvalidRequest,
          "combine: wanted 1 to 8 terms, found ", terms.size());
  const Shape& shape = terms.begin()->x->shape();
  for (const Term& term : terms)
    require(term.x->shape() == shape, ErrorCode::InvalidRequest,
            "combine: wanted equal shapes, found ", shape, " and ", term.x->shape());
  Tensor out = Tensor::empty(shape, dtype, ctx.device);
  required_op(ctx.ops.combine, "combine")(
      ctx.stream, ctx.workspace,
      {.terms = std::span<const Term>(terms.begin(), terms.size()), .out = out});
  return out;
}

Tensor scale_shift(const Context& ctx, const Tensor& x, const Tensor& scale, const Tensor& shift,
                   DType dtype) {
  const Tensor factor = scale.expand(x.shape()), offset = shift.expand(x.shape());
  Tensor out = Tensor::empty(x.shape(), dtype, ctx.device);
  required_op(ctx.ops.scale_shift, "scale_shift")(
      ctx.stream, ctx.workspace, {.x = x, .scale = factor, .shift = offset, .out = out});
  return out;
}

}  // namespace annulus

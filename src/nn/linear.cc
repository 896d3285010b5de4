#include "nn/linear.h"

#include <algorithm>
#include <array>

namespace annulus {

Linear load_linear(const WeightScope& w, std::int64_t in, std::int64_t out, Bias bias) {
  Linear layer = {.weight = w.get("weight", Shape{out, in}), .bias = std::nullopt, .adapters = {}};
  if (bias == Bias::Yes) layer.bias = w.get("bias", Shape{out});
  for (const LoraTerm& term : w.lora()) {
    require(term.a.shape().rank() == 2 && term.b.shape().rank() == 2 && term.a.shape()[1] == in &&
                term.b.shape()[0] == out && term.a.shape()[0] == term.b.shape()[1],
            ErrorCode::InvalidRequest, "LoRA: wanted [rank, ", in, "] and [", out, ", rank] for ",
            w.name(), ", found ", term.a.shape(), " and ", term.b.shape());
    layer.adapters.push_back({term.a, term.b, term.scale});
  }
  return layer;
}

namespace {

/// Blocks of x [batch, rows, in] in memory of their own, padded with zeros, one call each.
void linear_in_blocks(const Context& ctx, const Tensor& x, const Linear& layer,
                      Activation activation, Tensor& out) {
  Context whole = ctx;
  whole.row_block = 0;
  const std::int64_t rows = x.shape()[1], block = ctx.row_block;
  Tensor from = Tensor::empty({block, layer.in()}, x.dtype(), ctx.device),
         to = Tensor::empty({block, layer.out()}, out.dtype(), ctx.device);
  for (std::int64_t entry = 0; entry < x.shape()[0]; ++entry)
    for (std::int64_t begin = 0; begin < rows; begin += block) {
      const std::int64_t end = std::min(rows, begin + block), count = end - begin;
      if (count < block) ctx.device.fill(ctx.stream, from, 0);
      Tensor filled = from.slice(0, 0, count), wanted = out.select(0, entry).slice(0, begin, end);
      ctx.device.copy(ctx.stream, x.select(0, entry).slice(0, begin, end), filled);
      linear_into(whole, from, layer, activation, to);
      ctx.device.copy(ctx.stream, to.slice(0, 0, count), wanted);
    }
}

}  // namespace

void linear_into(const Context& ctx, const Tensor& x, const Linear& layer, Activation activation,
                 Tensor& out) {
  const int rank = x.shape().rank();
  require(
      rank >= 1 && x.shape()[-1] == layer.in() && out.shape() == x.shape().with(-1, layer.out()),
      ErrorCode::InvalidRequest, "linear: wanted [..., ", layer.in(), "] -> [..., ", layer.out(),
      "], found ", x.shape(), " -> ", out.shape());
  if (ctx.row_block > 0 && rank == 3) return linear_in_blocks(ctx, x, layer, activation, out);
  const auto run = required_op(ctx.ops.linear, "linear");
  const auto apply = [&](const Tensor& input, const Tensor& weight, const Tensor* bias,
                         Activation last, Tensor& result) {
    run(ctx.stream, ctx.workspace,
        {.x = input, .weight = weight, .bias = bias, .activation = last, .out = result});
  };
  const Tensor* bias = layer.bias ? &*layer.bias : nullptr;
  if (layer.adapters.empty()) return apply(x, layer.weight, bias, activation, out);

  const auto combine = required_op(ctx.ops.combine, "combine");
  apply(x, layer.weight, bias, Activation::None, out);
  for (const LowRank& adapter : layer.adapters) {
    Tensor inner = Tensor::empty(x.shape().with(-1, adapter.a.shape()[0]), x.dtype(),
                                 ctx.device);  // [..., rank]
    apply(x, adapter.a, nullptr, Activation::None, inner);
    Tensor delta = Tensor::empty(out.shape(), ctx.wide, ctx.device);
    apply(inner, adapter.b, nullptr, Activation::None, delta);
    const std::array<Term, 2> terms = {Term{1.0f, &out}, Term{adapter.scale, &delta}};
    combine(ctx.stream, ctx.workspace, {.terms = terms, .out = out});
  }
  if (activation != Activation::None)
    required_op(ctx.ops.activate, "activate")(ctx.stream, ctx.workspace,
                                              {.x = out, .activation = activation, .out = out});
}

Tensor linear(const Context& ctx, const Tensor& x, const Linear& layer, Activation activation) {
  Tensor out = Tensor::empty(x.shape().with(-1, layer.out()), ctx.dtype, ctx.device);
  linear_into(ctx, x, layer, activation, out);
  return out;
}

}  // namespace annulus

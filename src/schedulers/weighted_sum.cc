#include "schedulers/weighted_sum.h"

#include <cmath>
#include <vector>

namespace annulus {

Tensor weighted_sum(const Context& ctx, std::span<const Weighted> terms) {
  require(!terms.empty(), ErrorCode::InvalidRequest, "weighted_sum: wanted terms, found none");
  std::vector<Term> used;
  for (const Weighted& term : terms) {
    require(std::isfinite(term.factor), ErrorCode::NonFinite,
            "scheduler: wanted finite factors, found ", term.factor);
    if (term.factor != 0) used.push_back({static_cast<float>(term.factor), term.x});
  }
  if (used.empty()) used.push_back({0.0f, terms.front().x});
  Tensor sum = Tensor::empty(terms.front().x->shape(), ctx.wide, ctx.device);
  required_op(ctx.ops.combine, "combine")(ctx.stream, ctx.workspace, {used, sum});
  return sum;
}

}  // namespace annulus

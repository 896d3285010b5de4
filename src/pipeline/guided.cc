#include "pipeline/guided.h"

namespace annulus {

Tensor guided(const Context& ctx, const Tensor& cond, const Tensor& uncond,
              const Guidance& guidance) {
  require(cond.shape().rank() == 3 && cond.shape() == uncond.shape(), ErrorCode::InvalidRequest,
          "guided: wanted equal shapes [batch, seq, channels], found ", cond.shape(), " and ",
          uncond.shape());
  Tensor out = Tensor::empty(cond.shape(), ctx.wide, ctx.device);
  required_op(ctx.ops.guide, "guide")(ctx.stream, ctx.workspace,
                                      {.cond = cond,
                                       .uncond = uncond,
                                       .factor = guidance.scale,
                                       .rescale = guidance.rescale,
                                       .out = out});
  return out;
}

}  // namespace annulus

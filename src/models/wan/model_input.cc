#include "models/wan/model_input.h"

#include "models/wan/latents.h"
#include "parallel/shard.h"
#include "tensor/copy.h"

namespace annulus::wan {

ModelInput::ModelInput(const Context& ctx, const Components& components,
                       const Conditions& conditions, const Placed& video, std::int64_t batch)
    : ctx_(ctx) {
  if (!conditions.latents.defined()) return;
  const TransformerConfig& config = components.transformer.config;
  values_ = components.vae.config.z_dim * config.patch_values();
  const Tensor rows = packed(ctx, conditions.latents, config.patch_size);  // [1, rows, values]
  if (components.expand_timesteps) {
    const Sequence first = {.segments = {video.sequence.segments.front()}};
    const Tensor here = shard(ctx, rows, 1, first);
    first_ = here.expand(here.shape().with(0, batch));
    return;
  }
  const Tensor here = shard(ctx, rows, 1, video.sequence);
  const Shape& s = here.shape();
  joined_ = Tensor::empty({batch, s[1], values_ + s[2]}, ctx.wide, ctx.device);
  Tensor tail = joined_.slice(2, values_, values_ + s[2]);
  if (tail.elements() > 0) copy(ctx.stream, here.expand(tail.shape()), tail);
}

Tensor ModelInput::with(const Tensor& latents) const {
  if (first_.defined()) {
    Tensor made = clone(ctx_.stream, latents);
    Tensor head = made.slice(1, 0, first_.shape()[1]);
    if (head.elements() > 0) copy(ctx_.stream, first_, head);
    return made;
  }
  if (!joined_.defined()) return latents;
  Tensor head = joined_.slice(2, 0, values_);
  if (head.elements() > 0) copy(ctx_.stream, latents, head);
  return joined_;
}

}  // namespace annulus::wan

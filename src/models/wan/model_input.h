#pragma once

#include "models/wan/conditions.h"
#include "models/wan/transformer.h"

namespace annulus::wan {

/// What the transformer sees at a step: the latents, and the picture's beside them (more channels)
/// or in place of the first frame's. All are this rank's rows, packed.
class ModelInput {
 public:
  /// `conditions` are whole on every rank. The arguments outlive this.
  ModelInput(const Context& ctx, const Components& components, const Conditions& conditions,
             const Placed& video, std::int64_t batch);

  Tensor with(const Tensor& latents) const;

  /// The finished latents with the first frame put back, where it was given.
  Tensor finished(const Tensor& latents) const {
    return first_.defined() ? with(latents) : latents;
  }

 private:
  const Context& ctx_;
  std::int64_t values_ = 0;  // of a row's latents
  Tensor joined_;            // [batch, rows, all values]: conditions beside latents
  Tensor first_;             // [batch, rows of the first frame here, values]
};

}  // namespace annulus::wan

#include "platform/cpu/ops.h"

namespace annulus::cpu {

const OpTable& ops() noexcept {
  static constexpr OpTable kOps = {
      .linear = linear,
      .matmul = matmul,
      .layer_norm = layer_norm,
      .rms_norm = rms_norm,
      .rope = rope,
      .activate = activate,
      .gated_activate = gated_activate,
      .add_gated = add_gated,
      .combine = combine,
      .scale_shift = scale_shift,
      .guide = guide,
      .embedding = embedding,
      .softmax = softmax,
      .conv = conv,
      .upsample_nearest = upsample_nearest,
      .all_finite = all_finite,
  };
  return kOps;
}

}  // namespace annulus::cpu

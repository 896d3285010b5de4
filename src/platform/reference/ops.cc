#include "platform/reference/ops.h"

namespace annulus::reference {

namespace {

template <class Real>
constexpr OpTable kOps = {
    .linear = linear<Real>,
    .matmul = matmul<Real>,
    .layer_norm = layer_norm<Real>,
    .rms_norm = rms_norm<Real>,
    .rope = rope<Real>,
    .activate = activate<Real>,
    .gated_activate = gated_activate<Real>,
    .add_gated = add_gated<Real>,
    .combine = combine<Real>,
    .scale_shift = scale_shift<Real>,
    .guide = guide<Real>,
    .embedding = embedding,
    .softmax = softmax<Real>,
    .conv = conv<Real>,
    .upsample_nearest = upsample_nearest<Real>,
    .all_finite = all_finite<Real>,
};

}  // namespace

const OpTable& ops() noexcept {
  return kOps<double>;
}

const OpTable& plain_f32_ops() noexcept {
  return kOps<float>;
}

}  // namespace annulus::reference

#pragma once

#include <span>

#include "nn/norms.h"

namespace annulus {

/// Angles (radians) -> [1, seq, pairs, 2] cosines and sines on the device, in the context's wide
/// dtype.
Tensor rope_table(const Context& ctx, std::span<const double> angles, std::int64_t seq,
                  std::int64_t pairs);

/// Rotates x [batch, seq, heads, head_dim] in place by freqs [batch | 1, seq, pairs, 2]; with
/// `norm`, RMSNorm over head_dim first.
void norm_rope(const Context& ctx, Tensor& x, const Tensor& freqs, RopeLayout layout,
               const RmsNorm* norm);

}  // namespace annulus

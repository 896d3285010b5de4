#pragma once

#include "tensor/view.h"

namespace annulus {

/// Folds attention over a second set of keys into a running result (ring attention: once per hop).
///
///   out, part_out  [batch, seq_q, heads, head_dim]  `out` updated
///   lse, part_lse  [batch, heads, seq_q] f32        `lse` updated; natural log
///
/// Commutative up to rounding. A part with lse = -inf (no visible key) changes nothing.
/// Source: Dao et al., FlashAttention (arXiv 2205.14135), section 3.1; Liu et al., Ring Attention
/// (arXiv 2310.01889).
void merge_partial(int threads, View<float, 4> out, View<float, 3> lse,
                   View<const float, 4> part_out, View<const float, 3> part_lse) noexcept;

}  // namespace annulus

#pragma once

#include <span>

#include "nn/context.h"

namespace annulus {

struct Weighted {
  double factor;
  const Tensor* x;
};

/// Sum of factor * x over at most 8 terms of equal shape, in the context's wide dtype: all tensor
/// arithmetic of schedulers. A term whose factor is 0 is not read. Throws NonFinite when a factor
/// is not a number (a solver asked for a step that its noise levels do not allow).
Tensor weighted_sum(const Context& ctx, std::span<const Weighted> terms);

inline Tensor weighted_sum(const Context& ctx, std::initializer_list<Weighted> terms) {
  return weighted_sum(ctx, std::span<const Weighted>(terms.begin(), terms.size()));
}

}  // namespace annulus

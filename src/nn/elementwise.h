#pragma once

#include <initializer_list>

#include "nn/context.h"

namespace annulus {

/// activation(x) in the context's dtype.
Tensor activate(const Context& ctx, const Tensor& x, Activation activation);

/// activation(gate) * up, [..., inner], in the context's dtype.
Tensor gated_activate(const Context& ctx, const Tensor& gate, const Tensor& up,
                      Activation activation);

/// x += gate * y; x [batch, seq, hidden], updated; gate [batch, seq | 1, hidden].
void add_gated(const Context& ctx, Tensor& x, const Tensor& y, const Tensor& gate);

/// x += y, equal shapes.
void add(const Context& ctx, Tensor& x, const Tensor& y);

/// Sum of factor * x over the terms (equal shapes, at most 8), in `dtype`.
Tensor combine(const Context& ctx, std::initializer_list<Term> terms, DType dtype);

/// x * scale + shift, each broadcast to x's shape, in `dtype`.
Tensor scale_shift(const Context& ctx, const Tensor& x, const Tensor& scale, const Tensor& shift,
                   DType dtype);

}  // namespace annulus

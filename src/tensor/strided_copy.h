#pragma once

#include "tensor/tensor.h"

namespace annulus {

/// Copies elements between host tensors of equal shape; dtypes may differ (floating values round to
/// nearest even, integers are cut as C++ converts them, Bool is value != 0). Memory must not
/// overlap. Throws InvalidRequest on other shapes.
void strided_copy(int threads, const Tensor& from, Tensor& to);

/// Sets every element of a host tensor.
void strided_fill(int threads, Tensor& to, double value);

}  // namespace annulus

// What moves a tensor's data: always on a stream, never in silence.
#pragma once

#include "tensor/tensor.h"

namespace annulus {

/// The same values in new contiguous memory; `x` itself when it is contiguous already.
Tensor contiguous(Stream& stream, const Tensor& x);

/// The same values in new contiguous memory of `dtype`; `x` itself when it has that dtype.
Tensor cast(Stream& stream, const Tensor& x, DType dtype);

/// A copy in new contiguous memory, always.
Tensor clone(Stream& stream, const Tensor& x);

/// Copies `from` into `to` (equal shapes; strides and dtypes may differ).
void copy(Stream& stream, const Tensor& from, Tensor& to);

}  // namespace annulus

// Small host data on its way to and from the device.
#pragma once

#include <span>
#include <vector>

#include "nn/context.h"

namespace annulus {

/// Host values -> a tensor of `shape` and `dtype` on the device.
Tensor to_device(const Context& ctx, std::span<const double> values, const Shape& shape,
                 DType dtype);
Tensor to_device(const Context& ctx, std::span<const float> values, const Shape& shape,
                 DType dtype);
Tensor to_device(const Context& ctx, std::span<const std::int32_t> values, const Shape& shape);

/// The elements of a tensor of any dtype, in row-major order, as f32 on the host. Waits for the
/// stream.
std::vector<float> to_host(const Context& ctx, const Tensor& x);

}  // namespace annulus

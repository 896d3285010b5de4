#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace annulus {

/// [values] i32 in host memory, with no device to keep beside it: lengths and the like, which plans
/// of operations need on the host whatever the device of the data.
Tensor host_ints(std::span<const std::int32_t> values);

}  // namespace annulus

#pragma once

#include <cstdint>
#include <span>

#include "nn/context.h"

namespace annulus {

/// Standard normal noise as torch's CPU generator draws it, one generator per picture seeded with
/// its seed: [seeds, shape...] f32 (the wide dtype). Drawn whole on every rank, so that it never
/// depends on their number.
Tensor initial_noise(const Context& ctx, std::span<const std::uint64_t> seeds,
                     const Shape& shape_of_one);

}  // namespace annulus

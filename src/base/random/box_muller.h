#pragma once

#include <cstdint>

namespace annulus {

/// Turns `blocks` blocks of 16 uniform numbers in [0, 1) into standard normal ones in place: in
/// each block numbers i and i + 8 become radius * cos and radius * sin of one pair.
///
/// The f32 form repeats torch's AVX2 arithmetic bit for bit on any CPU: cephes polynomials, fused
/// where the compiler of torch's releases fuses them. The f64 form goes through the C library, as
/// torch does. Source: Box and Muller, 1958; torch's normal_fill.
void box_muller_16(float* data, std::int64_t blocks) noexcept;
void box_muller_16(double* data, std::int64_t blocks) noexcept;

}  // namespace annulus

#pragma once

#include <array>
#include <cstdint>

namespace annulus {

/// The 256 layers under exp(-x^2 / 2) that numpy draws normal numbers from: layer 0 is the base
/// with the tail. Kept as data because numpy's values carry the rounding of the program that made
/// them.
struct ZigguratLayer {
  std::uint64_t inside;  // below this, 52 bits times `width` are surely under the curve
  double width;          // of the layer, in units of 2^-52
  double height;         // of the curve at the layer's right edge
};

inline constexpr double kZigguratTail =
    3.6541528853610088;  // where layer 0 ends and the tail starts
inline constexpr double kZigguratTailInverse = 0.27366123732975828;

const std::array<ZigguratLayer, 256>& ziggurat_layers() noexcept;

}  // namespace annulus

// Built with -ffp-contract=off (src/base/CMakeLists.txt): which products are fused with a sum is
// part of the result, so each is written as std::fma and the compiler may add none.
#include "base/random/box_muller.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace annulus {
namespace {

constexpr float kTwoPi = 6.283185307179586f;

/// Natural logarithm of x in (0, 1], as cephes' logf: mantissa in [sqrt(1/2), sqrt(2)), a
/// polynomial of degree 9, ln 2 in two parts.
float cephes_log(float x) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  float exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 127) + 1.0f;
  float m = std::bit_cast<float>((bits & 0x807fffffu) | 0x3f000000u);
  const bool small = m < 0.707106781186547524f;
  const float doubled = small ? m : 0.0f;
  m = (m - 1.0f) + doubled;
  exponent -= small ? 1.0f : 0.0f;

  const float square = m * m;
  float y = 7.0376836292e-2f;
  y = std::fma(y, m, -1.1514610310e-1f);
  y = std::fma(y, m, 1.1676998740e-1f);
  y = std::fma(y, m, -1.2420140846e-1f);
  y = std::fma(y, m, 1.4249322787e-1f);
  y = std::fma(y, m, -1.6668057665e-1f);
  y = std::fma(y, m, 2.0000714765e-1f);
  y = std::fma(y, m, -2.4999993993e-1f);
  y = std::fma(y, m, 3.3333331174e-1f);
  y = y * m;
  y = std::fma(y, square, exponent * -2.12194440e-4f);
  y = y - square * 0.5f;  // exact product: fused or not is the same
  return std::fma(exponent, 0.693359375f, m + y);
}

struct SinCos {
  float sin, cos;
};

/// Sine and cosine of x in [0, 2 pi), as cephes' sinf and cosf: reduced to [-pi/4, pi/4] with pi/4
/// in three parts, one polynomial each.
SinCos cephes_sincos(float x) noexcept {
  const std::int32_t octant = (static_cast<std::int32_t>(x * 1.27323954473516f) + 1) & ~1;
  const float turns = static_cast<float>(octant);
  float r = std::fma(turns, -0.78515625f, x);
  r = std::fma(turns, -2.4187564849853515625e-4f, r);
  r = std::fma(turns, -3.77489497744594108e-8f, r);

  const float square = r * r;
  float c = 2.443315711809948e-5f;
  c = std::fma(c, square, -1.388731625493765e-3f);
  c = std::fma(c, square, 4.166664568298827e-2f);
  c = c * square;
  c = std::fma(c, square, -(square * 0.5f)) + 1.0f;

  float s = -1.9515295891e-4f;
  s = std::fma(s, square, 8.3321608736e-3f);
  s = std::fma(s, square, -1.6666654611e-1f);
  s = s * square;
  s = std::fma(s, r, r);

  const bool swapped = (octant & 2) != 0;
  const float sine = swapped ? c : s, cosine = swapped ? s : c;
  return {(octant & 4) != 0 ? -sine : sine, ((octant - 2) & 4) == 0 ? -cosine : cosine};
}

}  // namespace

void box_muller_16(float* data, std::int64_t blocks) noexcept {
  for (std::int64_t block = 0; block < blocks; ++block, data += 16) {
    for (int i = 0; i < 8; ++i) {
      const float radius = std::sqrt(-2.0f * cephes_log(1.0f - data[i]));
      const SinCos turn = cephes_sincos(kTwoPi * data[i + 8]);
      data[i] = radius * turn.cos + 0.0f;  // the sum makes -0 a 0
      data[i + 8] = radius * turn.sin + 0.0f;
    }
  }
}

void box_muller_16(double* data, std::int64_t blocks) noexcept {
  for (std::int64_t block = 0; block < blocks; ++block, data += 16) {
    for (int i = 0; i < 8; ++i) {
      const double radius = std::sqrt(-2.0 * std::log(1.0 - data[i]));
      const double theta = 2.0 * std::numbers::pi * data[i + 8];
      data[i] = radius * std::cos(theta) + 0.0;
      data[i + 8] = radius * std::sin(theta) + 0.0;
    }
  }
}

}  // namespace annulus

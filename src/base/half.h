// bf16 and f16 as storage types: 16 bits and conversions, no arithmetic. Rounding is to nearest,
// ties to even.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace annulus {

struct Bf16 {
  std::uint16_t bits = 0;
};

struct F16 {
  std::uint16_t bits = 0;
};

constexpr float to_float(float x) noexcept {
  return x;
}

constexpr float to_float(double x) noexcept {
  return static_cast<float>(x);
}

constexpr float to_float(Bf16 x) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

constexpr float to_float(F16 x) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 0x1fu, mantissa = x.bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // zero or subnormal
  return sign != 0 ? -magnitude : magnitude;
}

constexpr Bf16 to_bf16(float x) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u)  // NaN stays NaN, made quiet
    return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

constexpr F16 to_f16(float x) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  const auto made = [sign](std::uint32_t rest) {
    return F16{static_cast<std::uint16_t>(sign | rest)};
  };
  if (magnitude > 0x7f800000u) return made(0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return made(0x7c00u);  // rounds to infinity
  if (magnitude >= 0x38800000u) {                      // normal
    const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return made((rounded - 0x38000000u) >> 13);
  }
  if (magnitude < 0x33000000u) return made(0);  // below half of the smallest subnormal
  const std::uint32_t shift = 126 - (magnitude >> 23);
  const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
  const std::uint32_t half = 1u << (shift - 1);
  return made(kept + (rest > half || (rest == half && (kept & 1u) != 0) ? 1u : 0u));
}

/// Converts between f32, f64, bf16 and f16 through f32 (f64 to f64 stays exact).
template <class To, class From>
constexpr To convert(From x) noexcept {
  if constexpr (std::is_same_v<To, From>)
    return x;
  else if constexpr (std::is_same_v<To, Bf16>)
    return to_bf16(to_float(x));
  else if constexpr (std::is_same_v<To, F16>)
    return to_f16(to_float(x));
  else
    return static_cast<To>(to_float(x));
}

}  // namespace annulus

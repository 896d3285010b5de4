// Kernels for AVX2 with FMA and F16C: eight lanes.
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/half.h"
#include "platform/cpu/kernels.h"

#ifdef __x86_64__

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace annulus::cpu::avx2 {
namespace {

inline constexpr int kLanes = 8;
inline constexpr int kDotRows = 2;  // 2 x 4 sums in 16 registers
#include "platform/cpu/simd/types.h"

inline Floats from_bf16(Halves x) noexcept {
  return (Floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)x), 16);
}

inline Halves to_bf16_lanes(Floats x) noexcept {
  const Words bits = (Words)x;
  const Words rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Words chosen = (x == x ? rounded : (bits | 0x400000u)) >> 16;  // NaN stays, made quiet
  const __m256i packed = _mm256_packus_epi32((__m256i)chosen, (__m256i)chosen);
  return (Halves)_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

inline Floats from_f16(Halves x) noexcept {
  return _mm256_cvtph_ps((__m128i)x);
}

inline Halves to_f16_lanes(Floats x) noexcept {
  return (Halves)_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
}

inline Floats reciprocal(Floats x) noexcept {
  return 1.0f / x;
}

#include "platform/cpu/simd/kernels.h"

}  // namespace

const Kernels& kernels() noexcept {
  return kTable;
}

}  // namespace annulus::cpu::avx2

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

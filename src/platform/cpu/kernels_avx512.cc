// Kernels for AVX-512 (F, BW, DQ, VL): sixteen lanes.
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/half.h"
#include "platform/cpu/kernels.h"

#ifdef __x86_64__

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif

namespace annulus::cpu::avx512 {
namespace {

inline constexpr int kLanes = 16;
inline constexpr int kDotRows = 6;  // 6 x 4 sums in 32 registers
#include "platform/cpu/simd/types.h"

// With a mask, since g++ 12 warns of its own headers' unmasked forms (-Wmaybe-uninitialized).
inline constexpr __mmask16 kAll = 0xffff;

inline Floats from_bf16(Halves x) noexcept {
  return (Floats)((Words)_mm512_maskz_cvtepu16_epi32(kAll, (__m256i)x) << 16);
}

inline Halves to_bf16_lanes(Floats x) noexcept {
  const Words bits = (Words)x;
  const Words rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Words chosen = x == x ? rounded : (bits | 0x400000u);  // NaN stays NaN, made quiet
  return (Halves)_mm512_maskz_cvtepi32_epi16(kAll, (__m512i)(chosen >> 16));
}

inline Floats from_f16(Halves x) noexcept {
  return _mm512_maskz_cvtph_ps(kAll, (__m256i)x);
}

inline Halves to_f16_lanes(Floats x) noexcept {
  return (Halves)_mm512_maskz_cvtps_ph(kAll, x, _MM_FROUND_TO_NEAREST_INT);
}

/// 1 / x for finite x in [1, 2^60]: 14 bits, and a step of Newton's; a division takes as long as
/// all else in an activation.
inline Floats reciprocal(Floats x) noexcept {
  const Floats rough = _mm512_maskz_rcp14_ps(kAll, x);
  return rough + rough * (1.0f - x * rough);
}

#include "platform/cpu/simd/kernels.h"

}  // namespace

const Kernels& kernels() noexcept {
  return kTable;
}

}  // namespace annulus::cpu::avx512

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

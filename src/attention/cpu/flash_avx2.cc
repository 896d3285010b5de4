// AVX2 with FMA and F16C.
#if defined(__x86_64__)

#include <immintrin.h>

#include "attention/cpu/kernel.h"
#include "base/half.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "attention/cpu/tile_loop.h"

namespace annulus::flash {
namespace {

struct Avx2 {
  using V = __m256;
  using Packed = __m256;
  static constexpr std::int64_t kLanes = 8, kPanel = 16, kBlock = 128;
  static constexpr int kTileRows = 6;
  static constexpr bool kPairs = false;

  static V set(float x) noexcept { return _mm256_set1_ps(x); }
  static V load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(float* p, V x) noexcept { _mm256_storeu_ps(p, x); }
  static V add(V a, V b) noexcept { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) noexcept { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) noexcept { return _mm256_mul_ps(a, b); }
  static V fma(V a, V b, V c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  static V max(V a, V b) noexcept { return _mm256_max_ps(a, b); }  // b where either is NaN
  static float first(V x) noexcept { return _mm256_cvtss_f32(x); }
  static float reduce_add(V x) noexcept {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_max(V x) noexcept {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static Packed load_packed(const Word* p) noexcept {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Packed repeat(const Word* p) noexcept {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
  }
  static V dot(V sum, Packed a, Packed b) noexcept { return _mm256_fmadd_ps(a, b, sum); }

  /// Lanes [from, to) of x, kNone in the others.
  static V between(V x, std::int64_t from, std::int64_t to) noexcept {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i first = _mm256_set1_epi32(static_cast<int>(from < 0 ? 0 : from > 8 ? 8 : from));
    const __m256i past = _mm256_set1_epi32(static_cast<int>(to < 0 ? 0 : to > 8 ? 8 : to));
    const __m256i seen =
        _mm256_andnot_si256(_mm256_cmpgt_epi32(first, lane), _mm256_cmpgt_epi32(past, lane));
    return _mm256_blendv_ps(set(kNone), x, _mm256_castsi256_ps(seen));
  }
  /// kNone where `added` is kNone, else x.
  static V hide(V x, V added) noexcept {
    return _mm256_blendv_ps(x, added, _mm256_cmp_ps(added, set(kNone), _CMP_EQ_OQ));
  }

  /// 2^(x * unit) for x <= 0, 0 below 2^-126; NaN stays NaN. Error: flash_test.cc measures it.
  static V exp2(V x, V unit) noexcept {
    const V t = _mm256_mul_ps(x, unit), lowest = set(-126.0f);
    const V y = _mm256_max_ps(lowest, t);
    const V n = _mm256_round_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const V f = _mm256_sub_ps(y, n);
    V p = _mm256_fmadd_ps(set(0x1.5c08e6p-10f), f, set(0x1.3d0c52p-7f));
    p = _mm256_fmadd_ps(p, f, set(0x1.c6b6e4p-5f));
    p = _mm256_fmadd_ps(p, f, set(0x1.ebf918p-3f));
    p = _mm256_fmadd_ps(p, f, set(0x1.62e428p-1f));
    p = _mm256_fmadd_ps(p, f, set(0x1.000002p+0f));
    // The integer that stands for NaN loses its only bit in the shift, so NaN stays.
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    const V scaled = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
    return _mm256_and_ps(scaled, _mm256_cmp_ps(t, lowest, _CMP_NLT_UQ));
  }
};

constexpr Kernel kKernel = kernel_of<Avx2>("avx2 f32");

}  // namespace

const Kernel& avx2_f32() noexcept {
  return kKernel;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

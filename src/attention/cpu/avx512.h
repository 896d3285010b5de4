// Vectors of 16 f32 for the AVX-512 kernels. Included inside their target regions.
#pragma once

#include <immintrin.h>

#include "attention/cpu/kernel.h"

namespace annulus::flash {
namespace {

struct Vector512 {
  using V = __m512;
  static constexpr std::int64_t kLanes = 16, kPanel = 32;

  static V set(float x) noexcept { return _mm512_set1_ps(x); }
  static V load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void store(float* p, V x) noexcept { _mm512_storeu_ps(p, x); }
  static V add(V a, V b) noexcept { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) noexcept { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) noexcept { return _mm512_mul_ps(a, b); }
  static V fma(V a, V b, V c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  static V max(V a, V b) noexcept { return _mm512_max_ps(a, b); }  // b where either is NaN
  static float first(V x) noexcept { return _mm512_cvtss_f32(x); }
  static float reduce_add(V x) noexcept { return _mm512_reduce_add_ps(x); }
  static float reduce_max(V x) noexcept { return _mm512_reduce_max_ps(x); }

  /// Lanes [from, to) of x, -inf in the others.
  static V between(V x, std::int64_t from, std::int64_t to) noexcept {
    const std::uint32_t first = from < 0 ? 0 : from > 16 ? 16 : static_cast<std::uint32_t>(from);
    const std::uint32_t past = to < 0 ? 0 : to > 16 ? 16 : static_cast<std::uint32_t>(to);
    const std::uint32_t seen = ((1u << past) - 1u) & ~((1u << first) - 1u);
    return _mm512_mask_mov_ps(set(-__builtin_inff()), static_cast<__mmask16>(seen), x);
  }
  /// -inf where `added` is -inf, else x.
  static V hide(V x, V added) noexcept {
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(added, set(-__builtin_inff()), _CMP_EQ_OQ),
                              added);
  }

  /// 2^(x * unit) for x <= 0; NaN stays NaN. Error: flash_test.cc measures it.
  static V exp2(V x, V unit) noexcept {
    constexpr int kFraction =
        _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;  // t - floor(t); 0 for -inf
    const V t = _mm512_mul_ps(x, unit);
    const V f = _mm512_reduce_ps(t, kFraction);
    V p = _mm512_fmadd_ps(set(0x1.ec320ap-10f), f, set(0x1.26900cp-7f));
    p = _mm512_fmadd_ps(p, f, set(0x1.c95446p-5f));
    p = _mm512_fmadd_ps(p, f, set(0x1.ebd5a8p-3f));
    p = _mm512_fmadd_ps(p, f, set(0x1.62e4f6p-1f));
    p = _mm512_fmadd_ps(p, f, set(0x1.fffffep-1f));
    return _mm512_scalef_ps(p, t);  // p * 2^floor(t)
  }
};

}  // namespace
}  // namespace annulus::flash

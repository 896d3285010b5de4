// Vectors of 16 f32 for the AVX-512 kernels. Included inside their target regions.
#pragma once

#include <immintrin.h>

#include "attention/cpu/multiply.h"

namespace annulus::flash {
namespace {

struct Vector512 {
  using V = __m512;
  static constexpr std::int64_t kLanes = 16, kPanel = 32, kKeyStep = 16;
  static constexpr std::int64_t kFetchSteps = 8, kRowsAtOnce = 2;

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

  static void enter() noexcept {}
  static void leave() noexcept {}

  static __m256i load_halves(const std::uint16_t* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static V load_bf16(const std::uint16_t* p) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(p)), 16));
  }
  static V load_f16(const std::uint16_t* p) noexcept { return _mm512_cvtph_ps(load_halves(p)); }
  static void store_bf16(std::uint16_t* p, V x) noexcept {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i tie = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(tie, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i high = _mm512_srli_epi32(_mm512_mask_mov_epi32(up, nan, quiet), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(high));
  }
  static void store_f16(std::uint16_t* p, V x) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  static __m512d doubles(V x) noexcept { return _mm512_castps_pd(x); }
  static void transpose(V (&x)[kLanes]) noexcept {
    V t[16], u[16];
#pragma GCC unroll 8
    for (int n = 0; n < 8; ++n) {
      t[2 * n] = _mm512_unpacklo_ps(x[2 * n], x[2 * n + 1]);
      t[2 * n + 1] = _mm512_unpackhi_ps(x[2 * n], x[2 * n + 1]);
    }
#pragma GCC unroll 4
    for (int n = 0; n < 16; n += 4) {  // u[n + c]: column c of rows n to n + 3, in each of 4 lanes
      u[n] = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles(t[n]), doubles(t[n + 2])));
      u[n + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles(t[n]), doubles(t[n + 2])));
      u[n + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(doubles(t[n + 1]), doubles(t[n + 3])));
      u[n + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(doubles(t[n + 1]), doubles(t[n + 3])));
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const V low02 = _mm512_shuffle_f32x4(u[c], u[c + 4], 0x88);
      const V low13 = _mm512_shuffle_f32x4(u[c], u[c + 4], 0xdd);
      const V high02 = _mm512_shuffle_f32x4(u[c + 8], u[c + 12], 0x88);
      const V high13 = _mm512_shuffle_f32x4(u[c + 8], u[c + 12], 0xdd);
      x[c] = _mm512_shuffle_f32x4(low02, high02, 0x88);
      x[c + 4] = _mm512_shuffle_f32x4(low13, high13, 0x88);
      x[c + 8] = _mm512_shuffle_f32x4(low02, high02, 0xdd);
      x[c + 12] = _mm512_shuffle_f32x4(low13, high13, 0xdd);
    }
  }
  /// In each lane of four: sums of two halves, those of x and y by turns.
  static V half_sums(V x, V y) noexcept {
    return add(_mm512_unpacklo_ps(x, y), _mm512_unpackhi_ps(x, y));
  }
  static V lane_sums(V x, V y) noexcept {
    return add(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
  }
  /// Element n: the sum of x[n].
  static V sum_each(V (&x)[kLanes]) noexcept {
    V sums[4];  // x[4n] to x[4n + 3], in each lane of four
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n)
      sums[n] = half_sums(half_sums(x[4 * n], x[4 * n + 2]), half_sums(x[4 * n + 1], x[4 * n + 3]));
    return lane_sums(lane_sums(sums[0], sums[1]), lane_sums(sums[2], sums[3]));
  }
  /// x with the sign bits of `sign` flipped.
  static V flip(V x, V sign) noexcept {
    return _mm512_xor_ps(x, sign);
  }

  /// x where the boolean mask's row says so from key `at` on, -inf in the others.
  static V hide_unseen(V x, const Rows& row, std::int64_t at, std::int64_t last) noexcept {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(row.data);
    __m128i seen = _mm_setzero_si128();
    if (row.inner == 1) {
      const std::int64_t count = least(kLanes, last - at);
      seen = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1u), bytes + at);
    } else {
      std::uint8_t some[16] = {};
      for (std::int64_t key = at; key < least(at + kLanes, last); ++key)
        some[key - at] = bytes[key * row.inner];
      seen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(some));
    }
    return _mm512_mask_mov_ps(set(-__builtin_inff()), _mm_test_epi8_mask(seen, seen), x);
  }
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

  /// 2^(x * unit) for x <= 0; NaN stays NaN. Within 2.2 ulp of 2^(the rounded product): exp_test.cc
  /// tries every fraction.
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

/// Words of one f32.
struct Singles512 : Vector512 {
  static constexpr std::int64_t kWordStep = 1;
  static constexpr bool kPairs = false;
  /// The larger magnitudes as integers: finds NaN and Inf among words.
  static V larger_bits(V largest, V words) noexcept {
    const __m512i size = _mm512_and_si512(_mm512_castps_si512(words), _mm512_set1_epi32(INT32_MAX));
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(largest), size));
  }
  static bool any_not_finite(V largest) noexcept {
    return _mm512_cmpge_epi32_mask(_mm512_castps_si512(largest), _mm512_set1_epi32(0x7f800000)) !=
           0;
  }
};

/// The f32 kernel.
struct F32Products512 : Singles512 {
  using Packed = __m512;
  static constexpr std::int64_t kBlock = 256;
  static constexpr int kTileRows = 12;

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<F32Products512, kStride, kTileRows>(rows, vectors);
  }

  static Packed load_packed(const Word* p) noexcept {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Packed repeat(const Word* p) noexcept {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(p));
  }
  static V dot(V sum, Packed a, Packed b) noexcept { return _mm512_fmadd_ps(a, b, sum); }
};

/// Words of two bf16.
struct Pairs512 : Vector512 {
  static constexpr std::int64_t kWordStep = 1;
  static constexpr bool kPairs = true;
  static V larger_bits(V largest, V words) noexcept {
    const __m512i size =
        _mm512_and_si512(_mm512_castps_si512(words), _mm512_set1_epi32(0x7fff7fff));
    return _mm512_castsi512_ps(_mm512_max_epu16(_mm512_castps_si512(largest), size));
  }
  static bool any_not_finite(V largest) noexcept {
    return _mm512_cmpge_epu16_mask(_mm512_castps_si512(largest), _mm512_set1_epi16(0x7f80)) != 0;
  }
  /// Words of low[n], high[n].
  static V interleave(const std::uint16_t* low, const std::uint16_t* high) noexcept {
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_cvtepu16_epi32(load_halves(low)),
                        _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(high)), 16)));
  }
  /// 2^(x * unit) for x <= 0, within 44.3 ulp (2.7e-6, exp_test.cc): a thousandth of what rounding
  /// a weight to bf16 costs.
  static V exp2(V x, V unit) noexcept {
    constexpr int kFraction = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
    const V t = _mm512_mul_ps(x, unit);
    const V f = _mm512_reduce_ps(t, kFraction);
    V p = _mm512_fmadd_ps(set(0x1.bb7cd4p-7f), f, set(0x1.aa13f0p-5f));
    p = _mm512_fmadd_ps(p, f, set(0x1.ee798ap-3f));
    p = _mm512_fmadd_ps(p, f, set(0x1.62d166p-1f));
    p = _mm512_fmadd_ps(p, f, set(0x1.00002cp+0f));
    return _mm512_scalef_ps(p, t);
  }
};

}  // namespace
}  // namespace annulus::flash

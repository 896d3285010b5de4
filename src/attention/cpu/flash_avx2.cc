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

#include "attention/cpu/bytes.h"

namespace annulus::flash {
namespace {

struct Avx2 {
  using V = __m256;
  using Packed = __m256;
  static constexpr std::int64_t kLanes = 8, kPanel = 16, kBlock = 128, kWordStep = 1, kKeyStep = 8;
  static constexpr std::int64_t kFetchSteps = 8, kRowsAtOnce = 1;
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

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<Avx2, kStride, kTileRows>(rows, vectors);
  }
  static void enter() noexcept {}
  static void leave() noexcept {}

  static __m128i load_halves(const std::uint16_t* p) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static V load_bf16(const std::uint16_t* p) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(p)), 16));
  }
  static V load_f16(const std::uint16_t* p) noexcept { return _mm256_cvtph_ps(load_halves(p)); }
  static void store_bf16(std::uint16_t* p, V x) noexcept {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i tie = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(tie, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, nan), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
  }
  static void store_f16(std::uint16_t* p, V x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void transpose(V (&x)[kLanes]) noexcept {
    V t[8];
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) {
      t[2 * n] = _mm256_unpacklo_ps(x[2 * n], x[2 * n + 1]);
      t[2 * n + 1] = _mm256_unpackhi_ps(x[2 * n], x[2 * n + 1]);
    }
    V u[8];
#pragma GCC unroll 2
    for (int n = 0; n < 8; n += 4) {
      u[n] = _mm256_shuffle_ps(t[n], t[n + 2], 0x44);
      u[n + 1] = _mm256_shuffle_ps(t[n], t[n + 2], 0xee);
      u[n + 2] = _mm256_shuffle_ps(t[n + 1], t[n + 3], 0x44);
      u[n + 3] = _mm256_shuffle_ps(t[n + 1], t[n + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) {
      x[n] = _mm256_permute2f128_ps(u[n], u[n + 4], 0x20);
      x[n + 4] = _mm256_permute2f128_ps(u[n], u[n + 4], 0x31);
    }
  }
  /// Element n: the sum of x[n].
  static V sum_each(V (&x)[kLanes]) noexcept {
    const V low = _mm256_hadd_ps(_mm256_hadd_ps(x[0], x[1]), _mm256_hadd_ps(x[2], x[3]));
    const V high = _mm256_hadd_ps(_mm256_hadd_ps(x[4], x[5]), _mm256_hadd_ps(x[6], x[7]));
    return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
  }
  using I = __m256i;
  static I repeat_ints(Word x) noexcept {
    return _mm256_set1_epi32(static_cast<int>(x));
  }
  static I load_ints(const Word* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  /// VPDPBUSD: sum + four products of unsigned bytes of a and signed bytes of b, exact.
  static I dot_bytes(I sum, I a, I b) noexcept {
    const I even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(0xff)),
                                     _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
    const I odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
  }
  static V floats_of(I x) noexcept {
    return _mm256_cvtepi32_ps(x);
  }
  /// To the nearest integers.
  static void store_bytes(std::int8_t* p, V x) noexcept {
    const __m256i ints = _mm256_cvtps_epi32(x);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(ints), _mm256_extracti128_si256(ints, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  /// x with the sign bits of `sign` flipped.
  static V flip(V x, V sign) noexcept {
    return _mm256_xor_ps(x, sign);
  }
  /// The larger magnitudes as integers: finds NaN and Inf among words.
  static V larger_bits(V largest, V words) noexcept {
    const __m256i size = _mm256_and_si256(_mm256_castps_si256(words), _mm256_set1_epi32(INT32_MAX));
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(largest), size));
  }
  static bool any_not_finite(V largest) noexcept {
    const __m256i most_finite = _mm256_set1_epi32(0x7f7fffff);
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_castps_si256(largest), most_finite)) != 0;
  }

  /// x where the boolean mask's row says so from key `at` on, kNone in the others.
  static V hide_unseen(V x, const Rows& row, std::int64_t at, std::int64_t last) noexcept {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(row.data);
    std::uint8_t seen[8] = {};
    if (row.inner == 1 && at + kLanes <= last) {
      __builtin_memcpy(seen, bytes + at, 8);
    } else {
      for (std::int64_t key = at; key < least(at + kLanes, last); ++key)
        seen[key - at] = bytes[key * row.inner];
    }
    const __m256i wide =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(seen)));
    const __m256i unseen = _mm256_cmpeq_epi32(wide, _mm256_setzero_si256());
    return _mm256_blendv_ps(x, set(kNone), _mm256_castsi256_ps(unseen));
  }
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

  /// 2^(x * unit) for x <= 0, 0 below 2^-126; NaN stays NaN. Within 3 ulp
  /// of 2^(the rounded product): exp_test.cc tries every fraction.
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
constexpr Kernel kBytes = kernel_of_bytes<Avx2>("avx2 int8");

}  // namespace

const Kernel& avx2_f32() noexcept {
  return kKernel;
}

const Kernel& avx2_int8() noexcept {
  return kBytes;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

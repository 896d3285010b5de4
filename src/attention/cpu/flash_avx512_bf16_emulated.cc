// The bf16 kernel with VDPBF16PS and VCVTNE2PS2BF16 spelled out in f32, bit for bit (Intel SDM vol.
// 2: subnormals count as zero on both sides, results are rounded to nearest even whatever MXCSR
// says, the odd pair is added before the even one). It runs on any AVX-512 CPU, so that the tests
// of the bf16 kernel do; it is slower than f32 and never chosen.
#if defined(__x86_64__)

#include <immintrin.h>

#include "attention/cpu/kernel.h"
#include "base/half.h"

#if defined(__clang__)
#pragma clang attribute push(                                                             \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"))), \
    apply_to = function)
#else
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both in its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl")
#endif

#include "attention/cpu/avx512.h"
#include "attention/cpu/vector_kernel.h"

namespace annulus::flash {
namespace {

struct Emulated : Pairs512 {
  using Packed = __m512i;
  static constexpr std::int64_t kBlock = 256;
  static constexpr int kTileRows = 12;

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<Emulated, kStride, kTileRows>(rows, vectors);
  }

  static Packed load_packed(const Word* p) noexcept { return _mm512_loadu_si512(p); }
  static Packed repeat(const Word* p) noexcept { return _mm512_set1_epi32(static_cast<int>(*p)); }

  // Subnormals to zero of the same sign.
  static V flushed(V x) noexcept {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i sign = _mm512_and_si512(bits, _mm512_set1_epi32(INT32_MIN));
    const __mmask16 tiny = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, tiny, sign));
  }
  static V odd(Packed x) noexcept {
    return flushed(
        _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int>(0xffff0000u)))));
  }
  static V even(Packed x) noexcept {
    return flushed(_mm512_castsi512_ps(_mm512_slli_epi32(x, 16)));
  }

  static V dot(V sum, Packed a, Packed b) noexcept {
    const V once = flushed(_mm512_fmadd_ps(odd(a), odd(b), flushed(sum)));
    return flushed(_mm512_fmadd_ps(even(a), even(b), once));
  }

  static __m512i rounded(V x) noexcept {
    const __m512i bits = _mm512_castps_si512(flushed(x));
    const __m512i tie = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(tie, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    return _mm512_srli_epi32(_mm512_mask_mov_epi32(up, nan, quiet), 16);
  }
  static void store_pairs(Word* p, V low, V high) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded(low)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), _mm512_cvtepi32_epi16(rounded(high)));
  }
};

constexpr Kernel kEmulated = kernel_of<Emulated>("avx512_bf16 emulated");

}  // namespace

const Kernel& avx512_bf16_emulated() noexcept {
  return kEmulated;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

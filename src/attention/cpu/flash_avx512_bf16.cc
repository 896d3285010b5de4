// AVX-512 with bf16 units: VDPBF16PS for both products; and the same kernel with that instruction
// and the conversion spelled out in f32, bit for bit, which runs on any AVX-512 CPU.
#if defined(__x86_64__)

#include <immintrin.h>

#include "attention/cpu/kernel.h"
#include "base/half.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                 \
    __attribute__((target(                                                                    \
        "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni"))), \
    apply_to = function)
#else
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both in its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni")
#endif

#include "attention/cpu/avx512_bytes.h"

namespace annulus::flash {
namespace {

struct Bf16Units : Pairs512 {
  using Packed = __m512bh;
  static constexpr std::int64_t kBlock = 256;
  static constexpr int kTileRows = 12;

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<Bf16Units, kStride, kTileRows>(rows, vectors);
  }

  static Packed load_packed(const Word* p) noexcept {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
  }
  static Packed repeat(const Word* p) noexcept {
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(*p)));
  }
  static V dot(V sum, Packed a, Packed b) noexcept { return _mm512_dpbf16_ps(sum, a, b); }

  static void store_pairs(Word* p, V low, V high) noexcept {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
};

constexpr Kernel kUnits = kernel_of<Bf16Units>("avx512_bf16");

constexpr Kernel kBytes = kernel_of_bytes<Bytes512<Bf16Units, true>>("avx512_bf16 int8");

}  // namespace

const Kernel& avx512_bf16() noexcept {
  return kUnits;
}

const Kernel& avx512_bf16_int8() noexcept {
  return kBytes;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

// AVX-512 (F, BW, CD, DQ, VL) in f32.
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

struct Avx512 : Singles512 {
  using Packed = __m512;
  static constexpr std::int64_t kBlock = 256;
  static constexpr int kTileRows = 12;

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<Avx512, kStride, kTileRows>(rows, vectors);
  }

  static Packed load_packed(const Word* p) noexcept {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Packed repeat(const Word* p) noexcept {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(p));
  }
  static V dot(V sum, Packed a, Packed b) noexcept { return _mm512_fmadd_ps(a, b, sum); }
};

constexpr Kernel kKernel = kernel_of<Avx512>("avx512 f32");

}  // namespace

const Kernel& avx512_f32() noexcept {
  return kKernel;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

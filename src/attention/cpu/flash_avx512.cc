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

#include "attention/cpu/avx512_bytes.h"

namespace annulus::flash {
namespace {

constexpr Kernel kKernel = kernel_of<F32Products512>("avx512 f32");

constexpr Kernel kBytes = kernel_of_bytes<Bytes512<F32Products512, false>>("avx512 int8 emulated");

}  // namespace

const Kernel& avx512_f32() noexcept {
  return kKernel;
}

const Kernel& avx512_int8_emulated() noexcept {
  return kBytes;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

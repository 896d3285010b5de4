// The register tile: a few rows of words times a panel of vectors. Included by the vector kernels
// inside their target regions (see pack_loop.h).
#pragma once

#include "attention/cpu/pack_loop.h"

namespace annulus::flash {
namespace {

/// Memory to bring near while something else is worked on: `lines` cache lines every kAheadSteps
/// steps.
struct Ahead {
  const Word* at = nullptr;
  std::int64_t lines = 0;
};
constexpr std::int64_t kAheadSteps = 8, kLineWords = 16;

using Multiply = void (*)(const Word* a, const Word* b, std::int64_t steps, float* c,
                          std::int64_t c_stride, bool accumulate, Ahead ahead) noexcept;

template <class T, int kRows, int kVecs, std::int64_t kStride>
[[gnu::always_inline]] inline void step(const Word* a, const Word* b,
                                        typename T::V (&sum)[kRows][kVecs]) noexcept {
  typename T::Packed right[kVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; ++v) right[v] = T::load_packed(b + v * T::kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const typename T::Packed left = T::repeat(a + r * kStride);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) sum[r][v] = T::dot(sum[r][v], left, right[v]);
  }
}

/// c [kRows, kVecs vectors] = (accumulate ? c : 0) + a [kRows, steps] * b [steps, panel].
template <class T, int kRows, int kVecs, std::int64_t kStride>
void multiply(const Word* a, const Word* b, std::int64_t steps, float* c, std::int64_t c_stride,
              bool accumulate, Ahead ahead) noexcept {
  using V = typename T::V;
  V sum[kRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] = accumulate ? T::load(c + r * c_stride + v * T::kLanes) : T::set(0.0f);
  for (std::int64_t done = 0; done < steps; done += kAheadSteps) {
    for (std::int64_t line = 0; line < ahead.lines; ++line, ahead.at += kLineWords)
      __builtin_prefetch(ahead.at, 0, 2);  // into L2
    if (steps - done >= kAheadSteps) {
#pragma GCC unroll 8
      for (int s = 0; s < kAheadSteps; ++s)
        step<T, kRows, kVecs, kStride>(a + s, b + s * T::kPanel, sum);
    } else {
      for (std::int64_t s = 0; s < steps - done; ++s)
        step<T, kRows, kVecs, kStride>(a + s, b + s * T::kPanel, sum);
    }
    a += kAheadSteps;
    b += kAheadSteps * T::kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) T::store(c + r * c_stride + v * T::kLanes, sum[r][v]);
}

/// multiply() for 1 to kRows rows and 1 or 2 vectors.
template <class T, std::int64_t kStride, int kRows>
Multiply register_tile(std::int64_t rows, std::int64_t vectors) noexcept {
  if constexpr (kRows > 1)
    if (rows < kRows) return register_tile<T, kStride, kRows - 1>(rows, vectors);
  return vectors == 1 ? &multiply<T, kRows, 1, kStride> : &multiply<T, kRows, 2, kStride>;
}

}  // namespace
}  // namespace annulus::flash

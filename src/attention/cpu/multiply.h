// The register tile: a few rows of words times a panel of vectors. Included by the vector kernels
// inside their target regions (see pack_loop.h).
#pragma once

#include "attention/cpu/pack_loop.h"

namespace annulus::flash {
namespace {

/// Brings memory near while something else is worked on: blocks of keys are larger than the
/// prefetcher looks ahead, and rows further apart.
class Fetcher {
 public:
  static constexpr std::int64_t kLine = 64;

  void clear() noexcept { count_ = next_ = 0, rows_ = 0, per_call_ = 0, lines_ = 0; }

  void add(const Errand& errand) noexcept {
    if (errand.rows <= 0 || errand.bytes <= 0 || count_ == kMost) return;
    errands_[count_++] = errand;
    lines_ += errand.rows * ((errand.bytes + kLine - 1) / kLine);
  }
  std::int64_t lines() const noexcept { return lines_; }

  /// Spreads what was added over so many calls of some().
  void spread(std::int64_t calls) noexcept {
    per_call_ = calls > 0 ? least((lines_ + calls - 1) / calls, kMostPerCall) : 0;
    if (lines_ > 0) take_next();
  }

  [[gnu::always_inline]] void some() noexcept {
    for (std::int64_t n = 0; n < per_call_; ++n) line();
  }

 private:
  static constexpr int kMost = 8, kMostPerCall = 8;

  [[gnu::always_inline]] void line() noexcept {
    if (now_.write)
      __builtin_prefetch(at_, 1, 2);
    else
      __builtin_prefetch(at_, 0, 2);  // into L2
    at_ += kLine;
    if (at_ >= end_) next_row();
  }
  void next_row() noexcept {
    if (--rows_ <= 0) return take_next();
    now_.at += now_.stride;
    start_row();
  }
  void start_row() noexcept {
    at_ = now_.at;
    end_ = now_.at + now_.bytes;
  }
  void take_next() noexcept {
    if (next_ == count_) {
      per_call_ = 0;
      return;
    }
    now_ = errands_[next_++];
    rows_ = now_.rows;
    start_row();
  }

  Errand errands_[kMost];
  Errand now_;
  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  int count_ = 0, next_ = 0;
  std::int64_t rows_ = 0, lines_ = 0, per_call_ = 0;
};

using Multiply = void (*)(const Word* a, const Word* b, std::int64_t steps, float* c,
                          std::int64_t c_stride, bool accumulate, Fetcher& fetcher) noexcept;

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
              bool accumulate, Fetcher& fetcher) noexcept {
  using V = typename T::V;
  V sum[kRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] = accumulate ? T::load(c + r * c_stride + v * T::kLanes) : T::set(0.0f);
  for (std::int64_t done = 0; done < steps; done += T::kFetchSteps) {
    fetcher.some();
    if (steps - done >= T::kFetchSteps) {
#pragma GCC unroll 8
      for (int s = 0; s < T::kFetchSteps; ++s)
        step<T, kRows, kVecs, kStride>(a + s, b + s * T::kPanel, sum);
    } else {
      for (std::int64_t s = 0; s < steps - done; ++s)
        step<T, kRows, kVecs, kStride>(a + s, b + s * T::kPanel, sum);
    }
    a += T::kFetchSteps;
    b += T::kFetchSteps * T::kPanel;
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

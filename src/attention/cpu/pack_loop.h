// Copies keys and values into panels. Included by each instruction set's file inside its target
// region, so everything here has internal linkage; std functions are out of bounds for the same
// reason (style rule 20).
#pragma once

#include "attention/cpu/kernel.h"
#include "base/half.h"

namespace annulus::flash {
namespace {

inline std::int64_t least(std::int64_t a, std::int64_t b) noexcept {
  return a < b ? a : b;
}

inline std::int64_t rounded_up(std::int64_t x, std::int64_t step) noexcept {
  return (x + step - 1) / step * step;
}

inline Word word_of(float x) noexcept {
  return __builtin_bit_cast(Word, x);
}

/// The f32 at element `d` of a row.
inline float element(const Rows& rows, const std::byte* row, std::int64_t d) noexcept {
  const std::int64_t at = d * rows.inner;
  if (rows.dtype == DType::F32) return reinterpret_cast<const float*>(row)[at];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(row)[at];
  return rows.dtype == DType::BF16 ? to_float(Bf16{bits}) : to_float(F16{bits});
}

inline Word bits16(const Rows& rows, const std::byte* row, std::int64_t d) noexcept {
  return reinterpret_cast<const std::uint16_t*>(row)[d * rows.inner];
}

/// Word `w` of a row: f32 element w, or bf16 elements 2w and 2w + 1 with 0 past the end.
template <bool kPairs>
inline Word row_word(const Rows& rows, const std::byte* row, std::int64_t w,
                     std::int64_t head_dim) noexcept {
  if constexpr (!kPairs) {
    return word_of(element(rows, row, w));
  } else {
    const Word low = bits16(rows, row, 2 * w);
    return 2 * w + 1 < head_dim ? low | bits16(rows, row, 2 * w + 1) << 16 : low;
  }
}

template <class T>
void pack_keys(const PackJob& job) noexcept {
  const std::int64_t words = T::kPairs ? (job.head_dim + 1) / 2 : job.head_dim;
  const std::int64_t padded = rounded_up(job.count, T::kLanes);
  for (std::int64_t key = 0; key < padded; ++key) {
    Word* const to = job.key_panels + key / T::kPanel * words * T::kPanel + key % T::kPanel;
    if (key >= job.count) {
      for (std::int64_t w = 0; w < words; ++w) to[w * T::kPanel] = 0;
      continue;
    }
    const std::byte* const row = job.keys.from(key).data;
    for (std::int64_t w = 0; w < words; ++w)
      to[w * T::kPanel] = row_word<T::kPairs>(job.keys, row, w, job.head_dim);
  }
}

template <class T>
void pack_values(const PackJob& job) noexcept {
  constexpr std::int64_t kStep = T::kPairs ? 2 : 1;  // keys in a word
  const std::int64_t steps = (job.count + kStep - 1) / kStep;
  bool odd = false;
  for (std::int64_t d = 0; d < rounded_up(job.head_dim, T::kPanel); ++d) {
    Word* to = job.value_panels + d / T::kPanel * (T::kBlock / kStep) * T::kPanel + d % T::kPanel;
    for (std::int64_t s = 0; s < steps; ++s, to += T::kPanel) {
      Word word = 0;
      if (d < job.head_dim) {
        const std::byte* const row = job.values.from(s * kStep).data;
        if constexpr (T::kPairs) {
          word = bits16(job.values, row, d);
          odd = odd || (word & 0x7f80u) == 0x7f80u;
          if (2 * s + 1 < job.count) {
            const Word high = bits16(job.values, job.values.from(2 * s + 1).data, d);
            odd = odd || (high & 0x7f80u) == 0x7f80u;
            word |= high << 16;
          }
        } else {
          word = word_of(element(job.values, row, d));
          odd = odd || (word & 0x7f800000u) == 0x7f800000u;
        }
      }
      *to = word;
    }
  }
  *job.odd = odd ? 1 : 0;
}

template <class T>
void pack(const PackJob& job) noexcept {
  pack_keys<T>(job);
  pack_values<T>(job);
}

}  // namespace
}  // namespace annulus::flash

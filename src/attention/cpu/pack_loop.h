// Copies queries, keys and values into panels. Included by each instruction set's file inside its
// target region, so everything here has internal linkage; std functions are out of bounds for the
// same reason (style rule 20).
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
    return __builtin_bit_cast(Word, element(rows, row, w));
  } else {
    const Word low = bits16(rows, row, 2 * w);
    return 2 * w + 1 < head_dim ? low | bits16(rows, row, 2 * w + 1) << 16 : low;
  }
}

/// kLanes elements of a row from element d on, as f32; 0 past the end.
template <class T>
typename T::V floats_at(const Rows& rows, const std::byte* row, std::int64_t d,
                        std::int64_t head_dim) noexcept {
  if (rows.inner == 1 && d + T::kLanes <= head_dim) {
    if (rows.dtype == DType::F32) return T::load(reinterpret_cast<const float*>(row) + d);
    const auto* const halves = reinterpret_cast<const std::uint16_t*>(row) + d;
    return rows.dtype == DType::BF16 ? T::load_bf16(halves) : T::load_f16(halves);
  }
  float some[T::kLanes] = {};
  for (std::int64_t x = d; x < least(d + T::kLanes, head_dim); ++x)
    some[x - d] = element(rows, row, x);
  return T::load(some);
}

/// kLanes words of a row from word w on; 0 past the end.
template <class T>
typename T::V words_at(const Rows& rows, const std::byte* row, std::int64_t w,
                       std::int64_t head_dim) noexcept {
  if constexpr (!T::kPairs) {
    return floats_at<T>(rows, row, w, head_dim);
  } else {
    if (rows.inner == 1 && 2 * (w + T::kLanes) <= head_dim)
      return T::load(reinterpret_cast<const float*>(row) + w);
    Word some[T::kLanes] = {};
    for (std::int64_t x = w; x < least(w + T::kLanes, (head_dim + 1) / 2); ++x)
      some[x - w] = row_word<true>(rows, row, x, head_dim);
    return T::load(reinterpret_cast<const float*>(some));
  }
}

/// How words come out of memory: as they lie there (f32 for f32, pairs for pairs), or widened.
enum class Source { AsIs, Bf16, F16 };

template <class T>
Source source_of(DType dtype) noexcept {
  if (T::kPairs || dtype == DType::F32) return Source::AsIs;
  return dtype == DType::BF16 ? Source::Bf16 : Source::F16;
}

/// kLanes words of a row of neighbouring elements from word w on, all within the row.
template <class T, Source kSource>
[[gnu::always_inline]] inline typename T::V load_words(const std::byte* row,
                                                       std::int64_t w) noexcept {
  if constexpr (kSource == Source::AsIs)
    return T::load(reinterpret_cast<const float*>(row) + w);
  else if constexpr (kSource == Source::Bf16)
    return T::load_bf16(reinterpret_cast<const std::uint16_t*>(row) + w);
  else
    return T::load_f16(reinterpret_cast<const std::uint16_t*>(row) + w);
}

/// Words of a row that load_words() may take, a multiple of kLanes.
template <class T>
std::int64_t plain_words(const Rows& rows, std::int64_t head_dim) noexcept {
  if (rows.inner != 1) return 0;
  return (T::kPairs ? head_dim / 2 : head_dim) / T::kLanes * T::kLanes;
}

/// Rows far apart are beyond the prefetcher: brings row `row` near, if there is one.
inline void fetch_row(const Rows& rows, std::int64_t row, std::int64_t count,
                      std::int64_t head_dim) noexcept {
  constexpr std::int64_t kLine = 64;
  if (row >= count || rows.inner != 1) return;
  const std::byte* const at = rows.from(row).data;
  const std::int64_t bytes = head_dim * static_cast<std::int64_t>(size_of(rows.dtype));
  for (std::int64_t byte = 0; byte < bytes; byte += kLine)
    __builtin_prefetch(at + byte, 0, 2);  // L2
}
inline constexpr std::int64_t kRowsAhead = 16;

/// kLanes keys at a time, kLanes words at a time: rows in, columns out.
template <class T, Source kSource>
void pack_keys(const PackJob& job) noexcept {
  const std::int64_t words =
      rounded_up(T::kPairs ? (job.head_dim + 1) / 2 : job.head_dim, T::kWordStep);
  const std::int64_t plain = plain_words<T>(job.keys, job.head_dim);
  for (std::int64_t key = 0; key < rounded_up(job.count, T::kKeyStep); key += T::kLanes) {
    Word* const to = job.key_panels + key / T::kPanel * words * T::kPanel + key % T::kPanel;
    const std::byte* rows[T::kLanes];
    for (std::int64_t n = 0; n < T::kLanes; ++n) {
      rows[n] = job.keys.from(least(key + n, job.count - 1)).data;
      fetch_row(job.keys, key + kRowsAhead + n, job.count, job.head_dim);
    }
    for (std::int64_t w = 0; w < words; w += T::kLanes) {
      typename T::V tile[T::kLanes];
      if (w < plain && key + T::kLanes <= job.count) {
#pragma GCC unroll 16
        for (int n = 0; n < T::kLanes; ++n) tile[n] = load_words<T, kSource>(rows[n], w);
      } else {
        for (std::int64_t n = 0; n < T::kLanes; ++n)
          tile[n] =
              key + n < job.count ? words_at<T>(job.keys, rows[n], w, job.head_dim) : T::set(0.0f);
      }
      T::transpose(tile);
      const std::int64_t columns = least(T::kLanes, words - w);
      if (columns == T::kLanes) {
#pragma GCC unroll 16
        for (int n = 0; n < T::kLanes; ++n)
          T::store(reinterpret_cast<float*>(to + (w + n) * T::kPanel), tile[n]);
      } else {
        for (std::int64_t n = 0; n < columns; ++n)
          T::store(reinterpret_cast<float*>(to + (w + n) * T::kPanel), tile[n]);
      }
    }
  }
}

/// kLanes words of values: f32 of one key, or pairs of two keys; 0 for a key past the end.
template <class T>
typename T::V step_words(const PackJob& job, std::int64_t step, std::int64_t d) noexcept {
  if constexpr (!T::kPairs) {
    return floats_at<T>(job.values, job.values.from(step).data, d, job.head_dim);
  } else {
    const std::byte* const low = job.values.from(2 * step).data;
    const bool two = 2 * step + 1 < job.count;
    const std::byte* const high = two ? job.values.from(2 * step + 1).data : low;
    Word some[T::kLanes] = {};
    for (std::int64_t x = d; x < least(d + T::kLanes, job.head_dim); ++x)
      some[x - d] = bits16(job.values, low, x) | (two ? bits16(job.values, high, x) << 16 : 0);
    return T::load(reinterpret_cast<const float*>(some));
  }
}

template <class T, Source kSource>
void pack_values(const PackJob& job) noexcept {
  constexpr std::int64_t kStep = T::kPairs ? 2 : 1;  // keys in a word
  const std::int64_t steps = (job.count + kStep - 1) / kStep,
                     panel_words = T::kBlock / kStep * T::kPanel;
  const std::int64_t plain = job.values.inner == 1 ? job.head_dim / T::kLanes * T::kLanes : 0;
  typename T::V largest = T::set(0.0f);
  for (std::int64_t s = 0; s < steps; ++s) {
    for (std::int64_t key = s * kStep; key < (s + 1) * kStep; ++key)
      fetch_row(job.values, key + kRowsAhead, job.count, job.head_dim);
    const std::byte* const row = job.values.from(s * kStep).data;
    const std::byte* const second = job.values.from(least(s * kStep + 1, job.count - 1)).data;
    const bool whole = (s + 1) * kStep <= job.count;
    for (std::int64_t d = 0; d < job.head_dim; d += T::kLanes) {
      typename T::V words;
      if (whole && d < plain) {
        if constexpr (T::kPairs)
          words = T::interleave(reinterpret_cast<const std::uint16_t*>(row) + d,
                                reinterpret_cast<const std::uint16_t*>(second) + d);
        else
          words = load_words<T, kSource>(row, d);
      } else {
        words = step_words<T>(job, s, d);
      }
      largest = T::larger_bits(largest, words);
      Word* const to =
          job.value_panels + d / T::kPanel * panel_words + s * T::kPanel + d % T::kPanel;
      T::store(reinterpret_cast<float*>(to), words);
    }
  }
  for (std::int64_t s = steps; s < rounded_up(steps, T::kWordStep); ++s)  // keys past the end
    for (std::int64_t d = 0; d < job.head_dim; d += T::kLanes)
      T::store(reinterpret_cast<float*>(job.value_panels + d / T::kPanel * panel_words +
                                        s * T::kPanel + d % T::kPanel),
               T::set(0.0f));
  *job.odd = T::any_not_finite(largest) ? 1 : 0;
}

template <class T, Source kSource>
void pack_from(const PackJob& job) noexcept {
  pack_keys<T, kSource>(job);
  pack_values<T, kSource>(job);
}

template <class T>
void pack(const PackJob& job) noexcept {
  const Source source = source_of<T>(job.keys.dtype);
  if (source == Source::AsIs) return pack_from<T, Source::AsIs>(job);
  if constexpr (!T::kPairs) {
    if (source == Source::Bf16)
      pack_from<T, Source::Bf16>(job);
    else
      pack_from<T, Source::F16>(job);
  }
}

/// from * factor into `count` elements of dtype `dtype` at `to`, next to each other.
template <class T>
void store_scaled(const float* from, float factor, std::byte* to, DType dtype,
                  std::int64_t count) noexcept {
  const std::int64_t whole = count / T::kLanes * T::kLanes;
  const typename T::V factors = T::set(factor);
  auto* const halves = reinterpret_cast<std::uint16_t*>(to);
  for (std::int64_t d = 0; d < whole; d += T::kLanes) {
    const typename T::V x = T::mul(T::load(from + d), factors);
    if (dtype == DType::F32)
      T::store(reinterpret_cast<float*>(to) + d, x);
    else if (dtype == DType::BF16)
      T::store_bf16(halves + d, x);
    else
      T::store_f16(halves + d, x);
  }
  for (std::int64_t d = whole; d < count; ++d) {
    const float x = from[d] * factor;
    if (dtype == DType::F32)
      reinterpret_cast<float*>(to)[d] = x;
    else
      halves[d] = dtype == DType::BF16 ? to_bf16(x).bits : to_f16(x).bits;
  }
}

}  // namespace
}  // namespace annulus::flash

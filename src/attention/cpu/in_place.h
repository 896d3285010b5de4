// The two products without panels, for few query rows: keys and values are read once, where they
// lie, and copying them first would cost more than the products do. In f32 whatever the inputs are:
// memory is the limit here. Included by the f32 kernels inside their target regions (see
// pack_loop.h).
#pragma once

#include "attention/cpu/tile_loop.h"

namespace annulus::flash {
namespace {

/// A few neighbouring rows as f32: in the caller's memory where they are that already.
template <class T>
class Strip {
 public:
  static constexpr std::int64_t kRows = T::kLanes / T::kRowsAtOnce;

  /// Elements [d, d + width) of `kRows` rows from `row` on, with 0 up to a whole vector. Rows at or
  /// past `count` repeat the last one.
  void take(const Rows& from, std::int64_t row, std::int64_t count, std::int64_t d,
            std::int64_t width, std::int64_t head_dim) noexcept {
    if (d == 0)
      for (std::int64_t n = 0; n < kRows; ++n)
        fetch_row(from, row + n + kStripAhead, count, head_dim);
    if (from.inner != 1 || head_dim % T::kLanes != 0) {
      for (std::int64_t n = 0; n < kRows; ++n) {
        const std::byte* const at = from.from(least(row + n, count - 1)).data;
        for (std::int64_t x = 0; x < width; x += T::kLanes)
          T::store(widened_ + n * kChunk + x, floats_at<T>(from, at, d + x, head_dim));
        rows_[n] = widened_ + n * kChunk;
      }
      return;
    }
    const Source source = source_of<T>(from.dtype);
    if (source == Source::AsIs) {
      for (std::int64_t n = 0; n < kRows; ++n)
        rows_[n] = reinterpret_cast<const float*>(from.from(least(row + n, count - 1)).data) + d;
    } else if (source == Source::Bf16) {
      widen<Source::Bf16>(from, row, count, d, width);
    } else {
      widen<Source::F16>(from, row, count, d, width);
    }
  }

  const float* operator[](std::int64_t n) const noexcept { return rows_[n]; }

  bool odd(std::int64_t rows, std::int64_t width) const noexcept {
    typename T::V largest = T::set(0.0f);
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t x = 0; x < width; x += T::kLanes)
        largest = T::larger_bits(largest, T::load(rows_[n] + x));
    return T::any_not_finite(largest);
  }

 private:
  static constexpr std::int64_t kStripAhead = 48;  // rows: a strip is short work

  template <Source kSource>
  void widen(const Rows& from, std::int64_t row, std::int64_t count, std::int64_t d,
             std::int64_t width) noexcept {
    for (std::int64_t n = 0; n < kRows; ++n) {
      const std::byte* const at = from.from(least(row + n, count - 1)).data;
      float* const to = widened_ + n * kChunk;
      for (std::int64_t x = 0; x < width; x += T::kLanes)
        T::store(to + x, load_words<T, kSource>(at, d + x));
      rows_[n] = to;
    }
  }

  const float* rows_[kRows];
  alignas(64) float widened_[kRows * kChunk];
};

/// What Loop does by panels.
template <class T>
class InPlace {
 public:
  using V = typename T::V;
  using L = Layout<T>;
  static constexpr std::int64_t kStrip = Strip<T>::kRows;

  explicit InPlace(Loop<T>& loop) noexcept : loop_(loop), unit_(loop.unit) {}

  void score(const Item<T>& item) noexcept {
    const std::int64_t first_key = item.block * T::kBlock;
    for (std::int64_t key = item.begin; key < item.padded; key += kStrip)
      for (std::int64_t d = 0; d < unit_.head_dim; d += kChunk) {
        const std::int64_t width = rounded_up(least(unit_.head_dim - d, kChunk), T::kLanes);
        strip_.take(unit_.keys, first_key + key, unit_.band.keys, d, width, unit_.head_dim);
        const float* const queries = reinterpret_cast<const float*>(loop_.queries_at(item, d));
        for (std::int64_t r = 0; r < item.group->count; r += T::kRowsAtOnce)
          dot(queries, r, item.group->count, width,
              loop_.scratch.scores + r * L::kScoreStride + key, d > 0);
      }
  }

  void accumulate(const Item<T>& item) noexcept {
    if (!item.group->started) loop_.clear_out(*item.group);
    item.group->started = true;
    const std::int64_t first_key = item.block * T::kBlock;
    for (std::int64_t key = item.begin; key < item.end; key += kStrip)
      for (std::int64_t d = 0; d < unit_.head_dim; d += kChunk) {
        const std::int64_t width = rounded_up(least(unit_.head_dim - d, kChunk), T::kLanes);
        const std::int64_t keys = least(kStrip, item.end - key);
        strip_.take(unit_.values, first_key + key, unit_.band.keys, d, width, unit_.head_dim);
        if (item.masked && strip_.odd(keys, width))
          add_seen(item, key, keys, d, least(width, unit_.head_dim - d));
        else
          add_for<T::kTileRows>(item, key, keys, d, width);
      }
  }

 private:
  /// Scores of kRowsAtOnce rows from r on against the strip. A row past `rows` repeats the last one
  /// and is not written.
  void dot(const float* queries, std::int64_t r, std::int64_t rows, std::int64_t width,
           float* scores, bool add) const noexcept {
    const float* left[T::kRowsAtOnce];
    for (int n = 0; n < T::kRowsAtOnce; ++n)
      left[n] = queries + least(r + n, rows - 1) * L::kQueryStride;
    V sum[T::kLanes];
#pragma GCC unroll 16
    for (int n = 0; n < T::kLanes; ++n) sum[n] = T::set(0.0f);
    for (std::int64_t x = 0; x < width; x += T::kLanes) {
      V a[T::kRowsAtOnce];
#pragma GCC unroll 2
      for (int m = 0; m < T::kRowsAtOnce; ++m) a[m] = T::load(left[m] + x);
#pragma GCC unroll 8
      for (int n = 0; n < kStrip; ++n) {
        const V key = T::load(strip_[n] + x);
#pragma GCC unroll 2
        for (int m = 0; m < T::kRowsAtOnce; ++m)
          sum[m * kStrip + n] = T::fma(a[m], key, sum[m * kStrip + n]);
      }
    }
    float all[T::kLanes];
    T::store(all, T::sum_each(sum));
    for (int m = 0; m < T::kRowsAtOnce && r + m < rows; ++m)
      for (std::int64_t n = 0; n < kStrip; ++n) {
        float& score = scores[m * L::kScoreStride + n];
        score = add ? score + all[m * kStrip + n] : all[m * kStrip + n];
      }
  }

  const float* weights_at(std::int64_t key) const noexcept {
    return reinterpret_cast<const float*>(loop_.scratch.weights) + key;
  }

  /// add() for the group's number of rows.
  template <int kRows>
  void add_for(const Item<T>& item, std::int64_t key, std::int64_t keys, std::int64_t d,
               std::int64_t width) const noexcept {
    if constexpr (kRows > 1)
      if (item.group->count < kRows) return add_for<kRows - 1>(item, key, keys, d, width);
    constexpr int kRegisters = 2 * T::kTileRows;  // for sums
    constexpr int kVecs = 8 * kRows <= kRegisters ? 8 : 4 * kRows <= kRegisters ? 4 : 2;
    float* const out = loop_.out_at(item, 0) + d;
    std::int64_t x = 0;
    for (; x + kVecs * T::kLanes <= width; x += kVecs * T::kLanes)
      add<kRows, kVecs>(key, keys, x, out + x);
    for (; x < width; x += T::kLanes) add<kRows, 1>(key, keys, x, out + x);
  }

  /// out [kRows, kVecs vectors] += weights of the strip's keys * columns from x on.
  template <int kRows, int kVecs>
  void add(std::int64_t key, std::int64_t keys, std::int64_t x, float* out) const noexcept {
    const std::int64_t stride = L::out_stride(unit_.head_dim);
    const float* const weights = weights_at(key);
    V sum[kRows][kVecs];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) sum[r][v] = T::load(out + r * stride + v * T::kLanes);
    for (std::int64_t n = 0; n < keys; ++n) {
      V right[kVecs];
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) right[v] = T::load(strip_[n] + x + v * T::kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V left = T::set(weights[r * L::kWeightStride + n]);
#pragma GCC unroll 8
        for (int v = 0; v < kVecs; ++v) sum[r][v] = T::fma(left, right[v], sum[r][v]);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) T::store(out + r * stride + v * T::kLanes, sum[r][v]);
  }

  /// add() for a strip with NaN or Inf: only the keys that a row sees.
  void add_seen(const Item<T>& item, std::int64_t key, std::int64_t keys, std::int64_t d,
                std::int64_t width) const noexcept {
    for (std::int64_t r = 0; r < item.group->count; ++r) {
      float* const out = loop_.out_at(item, r) + d;
      for (std::int64_t n = 0; n < keys; ++n) {
        if (!loop_.sees(item, r, key + n)) continue;
        const float weight = weights_at(key)[r * L::kWeightStride + n];
        for (std::int64_t x = 0; x < width; ++x) out[x] += weight * strip_[n][x];
      }
    }
  }

  Loop<T>& loop_;
  const Unit& unit_;
  Strip<T> strip_;
};

}  // namespace
}  // namespace annulus::flash

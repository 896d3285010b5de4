// Scores from int8: queries with a scale for each row, keys with one for each panel, after the mean
// of the block's keys was taken off them (SageAttention, Zhang et al. 2024, section 4.2). What that
// takes off every score of a row in a block, q.mean, is added again in f32, so that blocks, masks
// and the log-sum-exp need not know. Included inside target regions (see pack_loop.h).
//
// Beside what Loop asks of it, a `T` has I (a vector of i32), repeat_ints(), load_ints(),
// dot_bytes(), floats_of() and store_bytes().
#pragma once

#include "attention/cpu/vector_kernel.h"

namespace annulus::flash {
namespace {

constexpr std::int64_t kMostByteDim = 256;  // largest head_dim
constexpr float kLargestByte = 127.0f;
constexpr Word kByteZero = 0x80808080;  // of queries, which are unsigned: byte = value + 128

/// Parts of a packed block of keys, in words from its start:
///
///   panels  [panels][head_dim / 4 words][panel]  four neighbouring values a word
///   bases   [kBlock] f32       128 * the sum of a key's values
///   scales  [panels] f32
///   mean    [head_dim] f32
///   odd     [kBlock] bytes     does a key hold NaN or Inf? Then its values are 0 here
///   any_odd [1] 0 when none of them does
template <class T>
struct ByteBlock {
  static constexpr std::int64_t kPanels = T::kBlock / T::kPanel;

  static std::int64_t words(std::int64_t head_dim) noexcept { return (head_dim + 3) / 4; }
  static std::int64_t bases(std::int64_t head_dim) noexcept { return T::kBlock * words(head_dim); }
  static std::int64_t scales(std::int64_t head_dim) noexcept { return bases(head_dim) + T::kBlock; }
  static std::int64_t mean(std::int64_t head_dim) noexcept {
    return scales(head_dim) + rounded_up(kPanels, 16);
  }
  static std::int64_t odd(std::int64_t head_dim) noexcept {
    return mean(head_dim) + rounded_up(head_dim, 16);
  }
  static std::int64_t any_odd(std::int64_t head_dim) noexcept {
    return odd(head_dim) + T::kBlock / 4;
  }
  static std::int64_t size(std::int64_t head_dim) noexcept { return any_odd(head_dim) + 16; }
};

/// Is every element of a row finite?
template <class T>
bool finite_row(const Rows& rows, const std::byte* row, std::int64_t head_dim) noexcept {
  typename T::V probe = T::set(0.0f);
  for (std::int64_t d = 0; d < head_dim; d += T::kLanes)
    probe = T::fma(floats_at<T>(rows, row, d, head_dim), T::set(0.0f), probe);
  return T::reduce_add(probe) == 0.0f;
}

/// The factor that brings values up to `largest` into a byte; 0 where they are next to nothing.
inline float to_bytes(float largest) noexcept {
  return largest > 1e-30f ? kLargestByte / largest : 0.0f;
}

template <class T>
class BytePacker {
 public:
  using V = typename T::V;
  using B = ByteBlock<T>;

  explicit BytePacker(const PackJob& job) noexcept : job_(job) {
    floats_ = reinterpret_cast<float*>(job.key_panels);
    mean_ = floats_ + B::mean(job.head_dim);
    odd_ = reinterpret_cast<std::uint8_t*>(job.key_panels + B::odd(job.head_dim));
  }

  void run() noexcept {
    find_mean();
    for (std::int64_t key = 0; key < rounded_up(job_.count, T::kKeyStep); key += T::kPanel) {
      const float largest = largest_of_panel(key);
      const float factor = to_bytes(largest);
      floats_[B::scales(job_.head_dim) + key / T::kPanel] =
          factor > 0.0f ? largest / kLargestByte : 0.0f;
      for (std::int64_t n = 0; n < T::kPanel && key + n < rounded_up(job_.count, T::kKeyStep);
           n += T::kLanes)
        pack_vector(key + n, factor);
    }
  }

 private:
  const std::byte* row(std::int64_t key) const noexcept { return job_.keys.from(key).data; }
  V centred(std::int64_t key, std::int64_t d) const noexcept {
    return T::sub(floats_at<T>(job_.keys, row(key), d, job_.head_dim), T::load(mean_ + d));
  }

  void find_mean() noexcept {
    for (std::int64_t d = 0; d < job_.head_dim; d += T::kLanes) T::store(mean_ + d, T::set(0.0f));
    float counted = 0;
    Word any_odd = 0;
    for (std::int64_t key = 0; key < T::kBlock; ++key) {
      odd_[key] = key < job_.count && !finite_row<T>(job_.keys, row(key), job_.head_dim) ? 1 : 0;
      any_odd |= odd_[key];
      if (key >= job_.count || odd_[key] != 0) continue;
      ++counted;
      for (std::int64_t d = 0; d < job_.head_dim; d += T::kLanes)
        T::store(mean_ + d,
                 T::add(T::load(mean_ + d), floats_at<T>(job_.keys, row(key), d, job_.head_dim)));
    }
    job_.key_panels[B::any_odd(job_.head_dim)] = any_odd;
    const V share = T::set(counted > 0 ? 1 / counted : 0.0f);
    for (std::int64_t d = 0; d < job_.head_dim; d += T::kLanes)
      T::store(mean_ + d, T::mul(T::load(mean_ + d), share));
  }

  float largest_of_panel(std::int64_t first) const noexcept {
    V largest = T::set(0.0f);
    for (std::int64_t key = first; key < least(first + T::kPanel, job_.count); ++key) {
      if (odd_[key] != 0) continue;
      for (std::int64_t d = 0; d < job_.head_dim; d += T::kLanes) {
        const V x = centred(key, d);
        largest = T::max(largest, T::max(x, T::sub(T::set(0.0f), x)));
      }
    }
    return T::reduce_max(largest);
  }

  /// kLanes keys from `first` on: rows of bytes in, columns of words out.
  void pack_vector(std::int64_t first, float factor) noexcept {
    const std::int64_t words = B::words(job_.head_dim);
    alignas(64) std::int8_t bytes[T::kLanes][kMostByteDim + 4 * T::kLanes] = {};
    for (std::int64_t n = 0; n < T::kLanes; ++n) {
      if (first + n >= job_.count || odd_[first + n] != 0) continue;
      for (std::int64_t d = 0; d < job_.head_dim; d += T::kLanes)
        T::store_bytes(&bytes[n][d], T::mul(centred(first + n, d), T::set(factor)));
    }
    Word* const to = job_.key_panels + first / T::kPanel * words * T::kPanel + first % T::kPanel;
    typename T::I sum = T::repeat_ints(0);
    for (std::int64_t w = 0; w < words; w += T::kLanes) {
      V tile[T::kLanes];
      for (std::int64_t n = 0; n < T::kLanes; ++n)
        tile[n] = T::load(reinterpret_cast<const float*>(&bytes[n][4 * w]));
      T::transpose(tile);
      for (std::int64_t n = 0; n < least(T::kLanes, words - w); ++n) {
        Word* const column = to + (w + n) * T::kPanel;
        T::store(reinterpret_cast<float*>(column), tile[n]);
        sum = T::dot_bytes(sum, T::repeat_ints(kByteZero), T::load_ints(column));
      }
    }
    T::store(floats_ + B::bases(job_.head_dim) + first, T::floats_of(sum));
  }

  const PackJob& job_;
  float* floats_;
  float* mean_;
  std::uint8_t* odd_;
};

template <class T>
void pack_values_of_any(const PackJob& job) noexcept {
  const Source source = source_of<T>(job.values.dtype);
  if constexpr (!T::kPairs) {
    if (source == Source::Bf16) return pack_values<T, Source::Bf16>(job);
    if (source == Source::F16) return pack_values<T, Source::F16>(job);
    pack_values<T, Source::AsIs>(job);
  } else {
    if (job.values.dtype == DType::BF16) return pack_values<T, Source::AsIs>(job);
    alignas(64) std::uint16_t rounded[T::kBlock * kMostByteDim];
    for (std::int64_t key = 0; key < job.count; ++key)
      for (std::int64_t d = 0; d < job.head_dim; d += T::kLanes)
        T::store_bf16(rounded + key * kMostByteDim + d,
                      floats_at<T>(job.values, job.values.from(key).data, d, job.head_dim));
    PackJob bf16 = job;
    bf16.values = {reinterpret_cast<const std::byte*>(rounded), DType::BF16, kMostByteDim, 1};
    pack_values<T, Source::AsIs>(bf16);
  }
}

template <class T>
void pack_bytes(const PackJob& job) noexcept {
  BytePacker<T>(job).run();
  pack_values_of_any<T>(job);
}

/// What Loop does for scores, in bytes; the second product is Loop's.
template <class T>
class Bytes {
 public:
  using V = typename T::V;
  using L = Layout<T>;
  using B = ByteBlock<T>;
  static constexpr std::int64_t kByteStride = kMostByteDim / 4 + kPad;
  static constexpr std::int64_t kFloatStride = kMostByteDim + kPad;
  static constexpr std::int64_t kQueryWords = kBlockRows * (kByteStride + kFloatStride + 1);
  static constexpr int kRows = T::kTileRows <= 12 ? T::kTileRows : 12;  // of a register tile

  explicit Bytes(Loop<T>& loop) noexcept
      : loop_(loop),
        unit_(loop.unit),
        bytes_(loop.scratch.queries),
        floats_(reinterpret_cast<float*>(bytes_ + kBlockRows * kByteStride)),
        scales_(floats_ + kBlockRows * kFloatStride) {}

  void pack_queries() noexcept {
    for (std::int64_t r = 0; r < unit_.rows; ++r) {
      const std::byte* const row = loop_.query_at(r);
      float* const floats = floats_ + r * kFloatStride;
      auto* const bytes = reinterpret_cast<std::int8_t*>(bytes_ + r * kByteStride);
      V largest = T::set(0.0f);
      for (std::int64_t d = 0; d < unit_.head_dim; d += T::kLanes) {
        const V read = floats_at<T>(unit_.queries, row, d, unit_.head_dim);
        const V x = unit_.negate ? T::sub(T::set(0.0f), read) : read;
        T::store(floats + d, x);
        largest = T::max(largest, T::max(x, T::sub(T::set(0.0f), x)));
      }
      const bool finite = finite_row<T>(unit_.queries, row, unit_.head_dim);
      const float most = T::reduce_max(largest), factor = finite ? to_bytes(most) : 0.0f;
      scales_[r] = !finite ? __builtin_nanf("") : factor > 0.0f ? most / kLargestByte : 0.0f;
      for (std::int64_t d = 0; d < unit_.head_dim; d += T::kLanes)
        T::store_bytes(bytes + d,
                       finite ? T::mul(T::load(floats + d), T::set(factor)) : T::set(0.0f));
      for (std::int64_t w = 0; w < B::words(unit_.head_dim); ++w)
        bytes_[r * kByteStride + w] ^= kByteZero;
    }
  }

  void score(const Item<T>& item) noexcept {
    const Word* const block = unit_.key_panels + item.block * unit_.key_words;
    const auto* const floats = reinterpret_cast<const float*>(block);
    find_biases(item, floats + B::mean(unit_.head_dim));
    for (std::int64_t key = item.begin; key < item.padded; key += T::kPanel)
      for (std::int64_t r = 0; r < item.group->count; r += kRows) {
        const std::int64_t rows = least(kRows, item.group->count - r);
        if (item.padded - key > T::kLanes)
          multiply_rows<kRows, 2>(item, block, key, r, rows);
        else
          multiply_rows<kRows, 1>(item, block, key, r, rows);
      }
    const auto* const odd = reinterpret_cast<const std::uint8_t*>(block + B::odd(unit_.head_dim));
    const bool any_odd = block[B::any_odd(unit_.head_dim)] != 0;
    for (std::int64_t r = 0; r < item.group->count; ++r) {
      const bool whole = odd_row(item, r);
      for (std::int64_t key = item.begin; (any_odd || whole) && key < item.end; ++key)
        if (odd[key] != 0 || whole) score_odd(item, r, key);
    }
  }

  void accumulate(const Item<T>& item) noexcept { loop_.accumulate(item); }

 private:
  const float* query(const Item<T>& item, std::int64_t r) const noexcept {
    return floats_ + (item.group->first + r) * kFloatStride;
  }

  void find_biases(const Item<T>& item, const float* mean) noexcept {
    for (std::int64_t r = 0; r < item.group->count; ++r) {
      V sum = T::set(0.0f);
      for (std::int64_t d = 0; d < unit_.head_dim; d += T::kLanes)
        sum = T::fma(T::load(query(item, r) + d), T::load(mean + d), sum);
      biases_[r] = T::reduce_add(sum);
    }
  }

  template <int kCount, int kVecs>
  void multiply_rows(const Item<T>& item, const Word* block, std::int64_t key, std::int64_t r,
                     std::int64_t rows) const noexcept {
    if constexpr (kCount > 1)
      if (rows < kCount) return multiply_rows<kCount - 1, kVecs>(item, block, key, r, rows);
    multiply<kCount, kVecs>(item, block, key, r);
  }

  /// Scores of kCount rows from r on against kVecs vectors of keys.
  template <int kCount, int kVecs>
  void multiply(const Item<T>& item, const Word* block, std::int64_t key,
                std::int64_t r) const noexcept {
    const std::int64_t words = B::words(unit_.head_dim);
    const Word* const panel = block + key / T::kPanel * words * T::kPanel;
    const Word* const rows = bytes_ + (item.group->first + r) * kByteStride;
    typename T::I sum[kCount][kVecs];
#pragma GCC unroll 16
    for (int n = 0; n < kCount; ++n)
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) sum[n][v] = T::repeat_ints(0);
    for (std::int64_t w = 0; w < words; ++w) {
      typename T::I right[kVecs];
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v)
        right[v] = T::load_ints(panel + w * T::kPanel + v * T::kLanes);
#pragma GCC unroll 16
      for (int n = 0; n < kCount; ++n) {
        const typename T::I left = T::repeat_ints(rows[n * kByteStride + w]);
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) sum[n][v] = T::dot_bytes(sum[n][v], left, right[v]);
      }
    }
    const auto* const floats = reinterpret_cast<const float*>(block);
    const float scale = floats[B::scales(unit_.head_dim) + key / T::kPanel];
    const float* const bases = floats + B::bases(unit_.head_dim) + key;
#pragma GCC unroll 16
    for (int n = 0; n < kCount; ++n) {
      const V factor = T::set(scale * scales_[item.group->first + r + n]);
      const V bias = T::set(biases_[r + n]);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        const V whole = T::sub(T::floats_of(sum[n][v]), T::load(bases + v * T::kLanes));  // exact
        T::store(loop_.scratch.scores + (r + n) * L::kScoreStride + key + v * T::kLanes,
                 T::fma(whole, factor, bias));
      }
    }
  }

  bool odd_row(const Item<T>& item, std::int64_t r) const noexcept {
    const float scale = scales_[item.group->first + r];
    return scale != scale;
  }

  /// The score where a query or a key holds NaN or Inf, from what it was made of.
  void score_odd(const Item<T>& item, std::int64_t r, std::int64_t key) const noexcept {
    const std::byte* const row = unit_.keys.from(item.block * T::kBlock + key).data;
    float sum = 0;
    for (std::int64_t d = 0; d < unit_.head_dim; ++d)
      sum += query(item, r)[d] * element(unit_.keys, row, d);
    loop_.scratch.scores[r * L::kScoreStride + key] = sum;
  }

  Loop<T>& loop_;
  const Unit& unit_;
  Word* bytes_;    // [kBlockRows, kByteStride]
  float* floats_;  // [kBlockRows, kFloatStride] the queries themselves
  float* scales_;  // [kBlockRows]; NaN: the query holds NaN or Inf
  float biases_[T::kTileRows];
};

template <class T>
void attend_bytes(const Unit& unit, const Scratch& scratch) noexcept {
  Loop<T> loop(unit, scratch);
  Bytes<T> products(loop);
  T::enter();
  loop.begin_rows();
  products.pack_queries();
  for (std::int64_t block = loop.first_block(); block < loop.past_block(); ++block) {
    loop.send_fetcher(block);
    meet_block(loop, products, block);
  }
  loop.end();
  T::leave();
}

template <class T>
ScratchSizes scratch_of_bytes(std::int64_t head_dim) noexcept {
  ScratchSizes sizes = scratch_of<T>(head_dim);
  sizes.queries = bytes(Bytes<T>::kQueryWords);
  return sizes;
}

template <class T>
constexpr Kernel kernel_of_bytes(const char* name) noexcept {
  Kernel kernel = kernel_of<T>(name);
  kernel.most_head_dim = kMostByteDim;
  kernel.scratch_of = &scratch_of_bytes<T>;
  kernel.key_words = &ByteBlock<T>::size;
  kernel.pack = &pack_bytes<T>;
  kernel.attend = &attend_bytes<T>;
  kernel.attend_in_place = nullptr;
  return kernel;
}

}  // namespace
}  // namespace annulus::flash

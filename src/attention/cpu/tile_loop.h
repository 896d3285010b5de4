// The flash loop, written once over a small vector type: scores of a row group against a block of
// keys, online softmax, weights times values. Included by each instruction set's file inside its
// target region (see pack_loop.h).
//
// A `T` has: V (a vector of f32), kLanes, kTileRows, kPairs, kBlock (keys), kPanel = 2 * kLanes,
// multiply_for() and the functions that the instruction sets' files show.
#pragma once

#include "attention/cpu/kernel.h"
#include "attention/cpu/multiply.h"
#include "attention/cpu/pack_loop.h"

namespace annulus::flash {
namespace {

constexpr std::int64_t kChunk = 256;        // words of head_dim that one row of queries holds
constexpr std::int64_t kPad = 16;           // words, so that rows do not share a cache set
constexpr std::int64_t kBlockRows = 192;    // query rows of a unit, at most
constexpr float kNone = -__builtin_inff();  // the score of a key that is not seen
constexpr std::int64_t kLeastGroupsAhead = 4;

template <class T>
struct Layout {
  static constexpr std::int64_t kChunkWords = T::kPairs ? kChunk / 2 : kChunk;
  static constexpr std::int64_t kQueryStride = kChunkWords + kPad;
  static constexpr std::int64_t kScoreStride = T::kBlock + kPad;
  static constexpr std::int64_t kWeightStride = T::kPairs ? T::kBlock / 2 + kPad : kScoreStride;
  static constexpr std::int64_t kKeysPerWord = T::kPairs ? 2 : 1;

  static std::int64_t words(std::int64_t head_dim) noexcept {
    return rounded_up(T::kPairs ? (head_dim + 1) / 2 : head_dim, T::kWordStep);
  }
  static std::int64_t chunks(std::int64_t head_dim) noexcept {
    return (words(head_dim) + kChunkWords - 1) / kChunkWords;
  }
  static std::int64_t out_stride(std::int64_t head_dim) noexcept {
    return rounded_up(head_dim, T::kLanes);
  }
};

/// Rows of a unit that go through the loop together, and the keys that they see.
struct Group {
  std::int64_t first = 0, count = 0;        // rows within the unit
  std::int64_t begin = 0, end = 0;          // keys that at least one row sees by position
  std::int64_t all_begin = 0, all_end = 0;  // keys that every row sees by position
};

/// Keys [begin, end) of a block that a group has to do with: begin is a multiple of the panel, and
/// scores exist up to `padded`.
struct Span {
  std::int64_t block = 0, begin = 0, end = 0, padded = 0;
};

template <class T>
struct Loop {
  using V = typename T::V;
  using L = Layout<T>;

  const Unit& unit;
  const Scratch& scratch;
  std::int64_t groups = 0;

  std::int64_t head_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) / unit.seq_q;
  }
  std::int64_t query_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) % unit.seq_q;
  }

  Group group_at(std::int64_t first) const noexcept {
    Group g;
    g.first = first;
    g.count = least(T::kTileRows, unit.rows - first);
    g.begin = g.all_end = unit.last_key;
    g.end = g.all_begin = unit.first_key;
    for (std::int64_t r = first; r < first + g.count; ++r) {
      const std::int64_t i = query_of(r), begin = unit.band.begin(i), end = unit.band.end(i);
      if (begin < end) {
        if (begin < g.begin) g.begin = begin;
        if (end > g.end) g.end = end;
      }
      if (begin > g.all_begin) g.all_begin = begin;
      if (end < g.all_end) g.all_end = end;
    }
    if (g.begin < unit.first_key) g.begin = unit.first_key;
    if (g.end > unit.last_key) g.end = unit.last_key;
    return g;
  }

  void pack_queries() const noexcept {
    const std::int64_t words = L::words(unit.head_dim);
    const V sign = T::set(!unit.negate ? 0.0f
                          : T::kPairs  ? __builtin_bit_cast(float, 0x80008000u)
                                       : -0.0f);
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      const std::byte* const row =
          unit.queries.from(query_of(r)).data +
          head_of(r) * unit.head_stride * static_cast<std::int64_t>(size_of(unit.queries.dtype));
      for (std::int64_t w = 0; w < words; w += T::kLanes) {
        Word* const to = scratch.queries + (w / L::kChunkWords * kBlockRows + r) * L::kQueryStride +
                         w % L::kChunkWords;
        T::store(reinterpret_cast<float*>(to),
                 T::flip(words_at<T>(unit.queries, row, w, unit.head_dim), sign));
      }
    }
  }

  /// The next block's share of `words` that call `call` of `calls` brings near. Blocks are larger
  /// than the prefetcher looks ahead, and the first group to meet one would wait for it.
  Ahead ahead_of(const Word* next, std::int64_t words, const Group& g, std::int64_t call,
                 std::int64_t calls, std::int64_t steps) const noexcept {
    if (groups < kLeastGroupsAhead)
      return {};  // keys are read once: nothing to hide the wait behind
    const std::int64_t share = words / (groups * calls);
    const std::int64_t per_line = kLineWords * (steps / kAheadSteps + 1);
    return {next + (g.first / T::kTileRows * calls + call) * share,
            (share + per_line - 1) / per_line};
  }
  std::int64_t block_after(std::int64_t block) const noexcept {
    return (block + 1) * T::kBlock < unit.last_key ? block + 1 : unit.first_key / T::kBlock;
  }

  /// Raw scores of the group's rows.
  void score(const Group& g, const Span& s) const noexcept {
    const std::int64_t words = L::words(unit.head_dim), calls = T::kBlock / T::kPanel;
    const Word* const panels = unit.key_panels + s.block * unit.key_words;
    const Word* const next = unit.key_panels + block_after(s.block) * unit.key_words;
    for (std::int64_t key = s.begin; key < s.padded; key += T::kPanel) {
      const Multiply run =
          T::template multiply_for<L::kQueryStride>(g.count, s.padded - key > T::kLanes ? 2 : 1);
      for (std::int64_t w = 0; w < words; w += L::kChunkWords)
        run(scratch.queries + (w / L::kChunkWords * kBlockRows + g.first) * L::kQueryStride,
            panels + (key / T::kPanel * words + w) * T::kPanel, least(words - w, L::kChunkWords),
            scratch.scores + key, L::kScoreStride, w > 0,
            ahead_of(next, unit.key_words, g, key / T::kPanel, calls, words));
    }
  }

  /// Keys that row r of the group does not see get the score kNone; an additive mask is added.
  void mask_row(const Group& g, const Span& s, std::int64_t r) const noexcept {
    float* const scores = scratch.scores + r * L::kScoreStride;
    const std::int64_t i = query_of(g.first + r), first_key = s.block * T::kBlock;
    if (unit.mask.data != nullptr) apply_mask(scores, head_of(g.first + r), i, s);
    const std::int64_t from = unit.band.begin(i) - first_key, to = unit.band.end(i) - first_key;
    for (std::int64_t x = s.begin; x < s.padded; x += T::kLanes)
      if (x < from || x + T::kLanes > to)
        T::store(scores + x, T::between(T::load(scores + x), from - x, to - x));
  }

  void apply_mask(float* scores, std::int64_t head, std::int64_t i, const Span& s) const noexcept {
    const std::int64_t first_key = s.block * T::kBlock;
    const std::int64_t last = least(s.padded, unit.band.keys - first_key);  // it has no more
    const std::int64_t at = head * unit.mask.head + i * unit.mask.row + first_key * unit.mask.key;
    const Rows row{unit.mask.data + at * static_cast<std::int64_t>(size_of(unit.mask.dtype)),
                   unit.mask.dtype, 0, unit.mask.key};
    if (unit.mask.dtype == DType::Bool) {
      for (std::int64_t x = s.begin; x < last; x += T::kLanes)
        T::store(scores + x, T::hide_unseen(T::load(scores + x), row, x, last));
      return;
    }
    const V scale = T::set(unit.scale);
    for (std::int64_t x = s.begin; x < last; x += T::kLanes) {
      const V added = floats_at<T>(row, row.data, x, last);
      T::store(scores + x, T::hide(T::fma(T::load(scores + x), scale, added), added));
    }
  }

  /// Scores to weights exp(score - most) of the group's rows; scales what was summed before.
  void soften(const Group& g, const Span& s) const noexcept {
    float shift[T::kTileRows];  // all rows first: their reductions overlap
    for (std::int64_t r = 0; r < g.count; ++r) {
      const float* const scores = scratch.scores + r * L::kScoreStride;
      V top = T::set(kNone);
      for (std::int64_t x = s.begin; x < s.padded; x += T::kLanes)
        top = T::max(top, T::load(scores + x));
      shift[r] = T::reduce_max(top);
    }
    for (std::int64_t r = 0; r < g.count; ++r) {
      const float before = scratch.most[g.first + r];
      if (shift[r] > before) {
        scratch.most[g.first + r] = shift[r];
        rescale(g.first + r, before - shift[r]);
      } else {
        shift[r] = before == kNone ? 0.0f : before;  // nothing seen: every weight becomes 0
      }
    }
    for (std::int64_t r = 0; r < g.count; ++r) weigh(g, s, r, shift[r]);
  }

  /// What was summed for a row, times 2^(change in units).
  void rescale(std::int64_t row, float change) const noexcept {
    const V keep = T::exp2(T::set(change), T::set(unit.exp2_unit));
    float* const sums = scratch.sums + row * T::kLanes;
    T::store(sums, T::mul(T::load(sums), keep));
    const std::int64_t stride = L::out_stride(unit.head_dim);
    float* const out = scratch.out + row * stride;
    for (std::int64_t d = 0; d < stride; d += T::kLanes)
      T::store(out + d, T::mul(T::load(out + d), keep));
  }

  void weigh(const Group& g, const Span& s, std::int64_t r, float shift) const noexcept {
    const float* const scores = scratch.scores + r * L::kScoreStride;
    const V unit_of_two = T::set(unit.exp2_unit), shifts = T::set(shift);
    float* const sums = scratch.sums + (g.first + r) * T::kLanes;
    V total = T::load(sums);
    if constexpr (T::kPairs) {
      Word* const weights = scratch.weights + r * L::kWeightStride;
      for (std::int64_t x = s.begin; x < s.padded; x += 2 * T::kLanes) {
        const V low = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        // A panel with one vector of keys has nothing in its second half.
        const V high = x + T::kLanes < s.padded
                           ? T::exp2(T::sub(T::load(scores + x + T::kLanes), shifts), unit_of_two)
                           : T::set(0.0f);
        total = T::add(total, T::add(low, high));
        T::store_pairs(weights + x / 2, low, high);
      }
    } else {
      float* const weights = reinterpret_cast<float*>(scratch.weights) + r * L::kWeightStride;
      for (std::int64_t x = s.begin; x < s.padded; x += T::kLanes) {
        const V weight = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        total = T::add(total, weight);
        T::store(weights + x, weight);
      }
    }
    T::store(sums, total);
  }

  /// out += weights * values.
  void accumulate(const Group& g, const Span& s) const noexcept {
    const std::int64_t stride = L::out_stride(unit.head_dim);
    const std::int64_t first = s.begin / L::kKeysPerWord;
    const std::int64_t steps =
        rounded_up((s.end - s.begin + L::kKeysPerWord - 1) / L::kKeysPerWord, T::kWordStep);
    const std::int64_t calls = (unit.head_dim + T::kPanel - 1) / T::kPanel;
    const Word* const panels = unit.value_panels + s.block * unit.value_words;
    const Word* const next = unit.value_panels + block_after(s.block) * unit.value_words;
    for (std::int64_t call = 0; call < calls; ++call) {
      const std::int64_t d = call * T::kPanel;
      const Multiply run = T::template multiply_for<L::kWeightStride>(
          g.count, unit.head_dim - d > T::kLanes ? 2 : 1);
      run(scratch.weights + first,
          panels + (call * (T::kBlock / L::kKeysPerWord) + first) * T::kPanel, steps,
          scratch.out + g.first * stride + d, stride, true,
          ahead_of(next, unit.value_words, g, call, calls, steps));
    }
  }

  /// The f32 of key `key` in a word.
  static float part(Word word, std::int64_t key) noexcept {
    if (T::kPairs) word = key % 2 != 0 ? word & 0xffff0000u : word << 16;
    return __builtin_bit_cast(float, word);
  }

  bool sees(std::int64_t head, std::int64_t i, std::int64_t key) const noexcept {
    if (key < unit.band.begin(i) || key >= unit.band.end(i)) return false;
    if (unit.mask.data == nullptr) return true;
    const std::int64_t at = head * unit.mask.head + i * unit.mask.row + key * unit.mask.key;
    if (unit.mask.dtype == DType::Bool)
      return reinterpret_cast<const std::uint8_t*>(unit.mask.data)[at] != 0;
    const Rows row{unit.mask.data, unit.mask.dtype, 0, 1};
    return element(row, row.data, at) != kNone;
  }

  /// accumulate() for a block with NaN or Inf among its values, where 0 * NaN would reach rows that
  /// do not see the key: key by key, only those seen.
  void accumulate_seen(const Group& g, const Span& s) const noexcept {
    const std::int64_t stride = L::out_stride(unit.head_dim);
    const Word* const panels = unit.value_panels + s.block * unit.value_words;
    for (std::int64_t r = 0; r < g.count; ++r) {
      const std::int64_t head = head_of(g.first + r), i = query_of(g.first + r);
      float* const out = scratch.out + (g.first + r) * stride;
      for (std::int64_t key = s.begin; key < s.end; ++key) {
        if (!sees(head, i, s.block * T::kBlock + key)) continue;
        const std::int64_t step = key / L::kKeysPerWord;
        const float weight = part(scratch.weights[r * L::kWeightStride + step], key);
        for (std::int64_t d = 0; d < unit.head_dim; ++d) {
          const std::int64_t panel = d / T::kPanel * (T::kBlock / L::kKeysPerWord);
          out[d] += weight * part(panels[(panel + step) * T::kPanel + d % T::kPanel], key);
        }
      }
    }
  }

  void fold_block(const Group& g, std::int64_t block) const noexcept {
    const std::int64_t first_key = block * T::kBlock;
    Span s;
    s.block = block;
    s.begin = g.begin > first_key ? (g.begin - first_key) / T::kPanel * T::kPanel : 0;
    s.end = least(g.end - first_key, T::kBlock);
    s.padded = rounded_up(s.end, T::kKeyStep);
    if (s.begin >= s.end) return;
    score(g, s);
    const bool masked = unit.mask.data != nullptr || g.all_begin > first_key + s.begin ||
                        g.all_end < first_key + s.padded;
    if (masked)
      for (std::int64_t r = 0; r < g.count; ++r) mask_row(g, s, r);
    soften(g, s);
    if (masked && unit.odd[block] != 0)
      accumulate_seen(g, s);
    else
      accumulate(g, s);
  }

  void run() noexcept {
    pack_queries();
    const std::int64_t stride = L::out_stride(unit.head_dim);
    const V zero = T::set(0.0f);
    for (std::int64_t x = 0; x < unit.rows * stride; x += T::kLanes)
      T::store(scratch.out + x, zero);
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      scratch.most[r] = kNone;
      T::store(scratch.sums + r * T::kLanes, zero);
    }
    Group all[kBlockRows / T::kTileRows];
    for (std::int64_t row = 0; row < unit.rows; row += T::kTileRows) all[groups++] = group_at(row);
    const std::int64_t last_block = (unit.last_key + T::kBlock - 1) / T::kBlock;
    for (std::int64_t block = unit.first_key / T::kBlock; block < last_block; ++block)
      for (std::int64_t g = 0; g < groups; ++g) fold_block(all[g], block);
    for (std::int64_t r = 0; r < unit.rows; ++r)
      scratch.sum[r] = T::reduce_add(T::load(scratch.sums + r * T::kLanes));
  }
};

template <class T>
void attend(const Unit& unit, const Scratch& scratch) noexcept {
  T::enter();
  Loop<T>{unit, scratch}.run();
  T::leave();
}

inline std::size_t bytes(std::int64_t words) noexcept {
  return static_cast<std::size_t>(rounded_up(words * 4, 64));
}

template <class T>
ScratchSizes scratch_of(std::int64_t head_dim) noexcept {
  using L = Layout<T>;
  return {.queries = bytes(L::chunks(head_dim) * kBlockRows * L::kQueryStride),
          .scores = bytes(T::kTileRows * L::kScoreStride),
          .weights = T::kPairs ? bytes(T::kTileRows * L::kWeightStride) : 0,
          .out = bytes(kBlockRows * L::out_stride(head_dim)),
          .most = bytes(kBlockRows),
          .sum = bytes(kBlockRows),
          .sums = bytes(kBlockRows * T::kLanes)};
}

template <class T>
std::int64_t out_stride(std::int64_t head_dim) noexcept {
  return Layout<T>::out_stride(head_dim);
}

template <class T>
std::int64_t key_words(std::int64_t head_dim) noexcept {
  return T::kBlock * Layout<T>::words(head_dim);
}

template <class T>
std::int64_t value_words(std::int64_t head_dim) noexcept {
  return T::kBlock / Layout<T>::kKeysPerWord * rounded_up(head_dim, T::kPanel);
}

template <class T>
constexpr Kernel kernel_of(const char* name) noexcept {
  static_assert(kBlockRows % T::kTileRows == 0 && T::kBlock % T::kPanel == 0);
  return {.name = name,
          .rows = T::kTileRows,
          .block_rows = kBlockRows,
          .key_block = T::kBlock,
          .scratch_of = &scratch_of<T>,
          .out_stride = &out_stride<T>,
          .key_words = &key_words<T>,
          .value_words = &value_words<T>,
          .pack = &pack<T>,
          .attend = &attend<T>,
          .store_scaled = &store_scaled<T>};
}

}  // namespace
}  // namespace annulus::flash

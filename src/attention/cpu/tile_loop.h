// The flash loop, written once over a small vector type: scores of a row group against a block of
// keys, online softmax, weights times values. Included by each instruction set's file inside its
// target region (see pack_loop.h).
//
// A `T` has: V (a vector of f32), kLanes, kTileRows, kPairs, kBlock (keys), kPanel = 2 * kLanes and
// the functions that the instruction sets' files show.
#pragma once

#include "attention/cpu/kernel.h"
#include "attention/cpu/pack_loop.h"

namespace annulus::flash {
namespace {

constexpr std::int64_t kChunk = 256;        // words of head_dim that one row of queries holds
constexpr std::int64_t kPad = 16;           // words, so that rows do not share a cache set
constexpr std::int64_t kBlockRows = 192;    // query rows of a unit, at most
constexpr float kNone = -__builtin_inff();  // the score of a key that is not seen

template <class T>
struct Layout {
  static constexpr std::int64_t kQueryStride = (T::kPairs ? kChunk / 2 : kChunk) + kPad;
  static constexpr std::int64_t kScoreStride = T::kBlock + kPad;
  static constexpr std::int64_t kWeightStride = T::kPairs ? T::kBlock / 2 + kPad : kScoreStride;
  static constexpr std::int64_t kChunkWords = T::kPairs ? kChunk / 2 : kChunk;

  static std::int64_t words(std::int64_t head_dim) noexcept {
    return T::kPairs ? (head_dim + 1) / 2 : head_dim;
  }
  static std::int64_t chunks(std::int64_t head_dim) noexcept {
    return (words(head_dim) + kChunkWords - 1) / kChunkWords;
  }
  static std::int64_t out_stride(std::int64_t head_dim) noexcept {
    return rounded_up(head_dim, T::kLanes);
  }
};

/// c [kRows, kVecs vectors] = (accumulate ? c : 0) + a [kRows, steps] * b [steps, panel].
template <class T, int kRows, int kVecs, std::int64_t kStride>
void multiply(const Word* a, const Word* b, std::int64_t steps, float* c, std::int64_t c_stride,
              bool accumulate) noexcept {
  using V = typename T::V;
  V sum[kRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] = accumulate ? T::load(c + r * c_stride + v * T::kLanes) : T::set(0.0f);
  for (std::int64_t s = 0; s < steps; ++s) {
    typename T::Packed right[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) right[v] = T::load_packed(b + v * T::kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const typename T::Packed left = T::repeat(a + r * kStride);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) sum[r][v] = T::dot(sum[r][v], left, right[v]);
    }
    ++a;
    b += T::kPanel;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) T::store(c + r * c_stride + v * T::kLanes, sum[r][v]);
}

using Multiply = void (*)(const Word* a, const Word* b, std::int64_t steps, float* c,
                          std::int64_t c_stride, bool accumulate) noexcept;

/// multiply() for 1 to T::kTileRows rows and 1 or 2 vectors.
template <class T, std::int64_t kStride, int kRows = T::kTileRows>
Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
  if constexpr (kRows > 1)
    if (rows < kRows) return multiply_for<T, kStride, kRows - 1>(rows, vectors);
  return vectors == 1 ? &multiply<T, kRows, 1, kStride> : &multiply<T, kRows, 2, kStride>;
}

/// Rows of a unit that go through the loop together, and the keys that they see.
struct Group {
  std::int64_t first = 0, count = 0;        // rows within the unit
  std::int64_t begin = 0, end = 0;          // keys that at least one row sees by position
  std::int64_t all_begin = 0, all_end = 0;  // keys that every row sees by position
};

template <class T>
struct Loop {
  using V = typename T::V;
  using L = Layout<T>;

  const Unit& unit;
  const Scratch& scratch;

  std::int64_t head_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) / unit.seq_q;
  }
  std::int64_t query_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) % unit.seq_q;
  }

  Group group_at(std::int64_t first) const noexcept {
    Group g{first,          least(T::kTileRows, unit.rows - first),
            unit.last_key,  unit.first_key,
            unit.first_key, unit.last_key};
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
    const Word sign = !unit.negate ? 0u : T::kPairs ? 0x80008000u : 0x80000000u;
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      const std::byte* const row =
          unit.queries.from(query_of(r)).data +
          head_of(r) * unit.head_stride * static_cast<std::int64_t>(size_of(unit.queries.dtype));
      for (std::int64_t w = 0; w < words; ++w)
        scratch
            .queries[(w / L::kChunkWords * kBlockRows + r) * L::kQueryStride + w % L::kChunkWords] =
            row_word<T::kPairs>(unit.queries, row, w, unit.head_dim) ^ sign;
    }
  }

  /// Scores of keys [begin, end) of a block, begin a multiple of the panel.
  void score(const Group& g, std::int64_t block, std::int64_t begin,
             std::int64_t end) const noexcept {
    const std::int64_t words = L::words(unit.head_dim);
    const Word* const panels = unit.key_panels + block * unit.key_words;
    for (std::int64_t key = begin; key < end; key += T::kPanel) {
      const Multiply run = multiply_for<T, L::kQueryStride>(g.count, end - key > T::kLanes ? 2 : 1);
      for (std::int64_t w = 0; w < words; w += L::kChunkWords)
        run(scratch.queries + (w / L::kChunkWords * kBlockRows + g.first) * L::kQueryStride,
            panels + (key / T::kPanel * words + w) * T::kPanel, least(words - w, L::kChunkWords),
            scratch.scores + key, L::kScoreStride, w > 0);
    }
  }

  /// Gives keys of [begin, end) that row r of the group does not see the score kNone, and adds an
  /// additive mask.
  void mask_row(const Group& g, std::int64_t r, std::int64_t first_key, std::int64_t begin,
                std::int64_t end) const noexcept {
    float* const scores = scratch.scores + r * L::kScoreStride;
    const std::int64_t i = query_of(g.first + r);
    if (unit.mask.data != nullptr) {
      stage_mask(head_of(g.first + r), i, first_key, begin, end);
      for (std::int64_t x = begin; x < end; x += T::kLanes)
        T::store(scores + x, unit.mask.dtype == DType::Bool
                                 ? T::hide(T::load(scores + x), T::load(scratch.added + x))
                                 : T::hide(T::fma(T::load(scores + x), T::set(unit.scale),
                                                  T::load(scratch.added + x)),
                                           T::load(scratch.added + x)));
    }
    const std::int64_t from = unit.band.begin(i) - first_key, to = unit.band.end(i) - first_key;
    for (std::int64_t x = begin; x < end; x += T::kLanes)
      if (x < from || x + T::kLanes > to)
        T::store(scores + x, T::between(T::load(scores + x), from - x, to - x));
  }

  /// The mask's row as f32 in scratch.added: -inf where a boolean mask says no.
  void stage_mask(std::int64_t head, std::int64_t i, std::int64_t first_key, std::int64_t begin,
                  std::int64_t end) const noexcept {
    const std::int64_t last = least(end, unit.band.keys - first_key);
    const std::int64_t at = head * unit.mask.head + i * unit.mask.row + first_key * unit.mask.key;
    float* const to = scratch.added;
    if (unit.mask.dtype == DType::Bool) {
      const auto* const seen = reinterpret_cast<const std::uint8_t*>(unit.mask.data) + at;
      for (std::int64_t x = begin; x < last; ++x)
        to[x] = seen[x * unit.mask.key] != 0 ? 0.0f : kNone;
    } else {
      const Rows row{unit.mask.data + at * static_cast<std::int64_t>(size_of(unit.mask.dtype)),
                     unit.mask.dtype, 0, unit.mask.key};
      for (std::int64_t x = begin; x < last; ++x) to[x] = element(row, row.data, x);
    }
    for (std::int64_t x = last > begin ? last : begin; x < end; ++x) to[x] = kNone;
  }

  /// Scores to weights exp(score - most) for [begin, end); scales what was summed before.
  void soften_row(const Group& g, std::int64_t r, std::int64_t begin,
                  std::int64_t end) const noexcept {
    const float* const scores = scratch.scores + r * L::kScoreStride;
    V top = T::set(kNone);
    for (std::int64_t x = begin; x < end; x += T::kLanes) top = T::max(top, T::load(scores + x));
    const float here = T::reduce_max(top), before = scratch.most[g.first + r];
    const float most = here > before ? here : before;
    const float shift = most == kNone ? 0.0f : most;  // nothing seen: every weight becomes 0

    const V unit_of_two = T::set(unit.exp2_unit), shifts = T::set(shift);
    V total = T::set(0.0f);
    if constexpr (T::kPairs) {
      Word* const weights = scratch.weights + r * L::kWeightStride;
      for (std::int64_t x = begin; x < end; x += 2 * T::kLanes) {
        const V low = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        // A panel with one vector of keys has nothing in its second half.
        const V high = x + T::kLanes < end
                           ? T::exp2(T::sub(T::load(scores + x + T::kLanes), shifts), unit_of_two)
                           : T::set(0.0f);
        total = T::add(total, T::add(low, high));
        T::store_pairs(weights + x / 2, low, high);
      }
    } else {
      float* const weights = reinterpret_cast<float*>(scratch.weights) + r * L::kWeightStride;
      for (std::int64_t x = begin; x < end; x += T::kLanes) {
        const V weight = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        total = T::add(total, weight);
        T::store(weights + x, weight);
      }
    }
    float& sum = scratch.sum[g.first + r];
    if (most == before) {
      sum += T::reduce_add(total);
      return;
    }
    const V keep = T::exp2(T::set(before - shift), unit_of_two);
    scratch.most[g.first + r] = most;
    sum = T::first(T::fma(T::set(sum), keep, T::set(T::reduce_add(total))));
    float* const out = scratch.out + (g.first + r) * L::out_stride(unit.head_dim);
    for (std::int64_t d = 0; d < L::out_stride(unit.head_dim); d += T::kLanes)
      T::store(out + d, T::mul(T::load(out + d), keep));
  }

  /// out += weights * values over keys [begin, end) of a block.
  void accumulate(const Group& g, std::int64_t block, std::int64_t begin,
                  std::int64_t end) const noexcept {
    constexpr std::int64_t kStep = T::kPairs ? 2 : 1;
    const std::int64_t stride = L::out_stride(unit.head_dim);
    const std::int64_t first = begin / kStep, steps = (end - begin + kStep - 1) / kStep;
    const Word* const panels = unit.value_panels + block * unit.value_words;
    for (std::int64_t d = 0; d < unit.head_dim; d += T::kPanel) {
      const Multiply run =
          multiply_for<T, L::kWeightStride>(g.count, unit.head_dim - d > T::kLanes ? 2 : 1);
      run(scratch.weights + first,
          panels + (d / T::kPanel * (T::kBlock / kStep) + first) * T::kPanel, steps,
          scratch.out + g.first * stride + d, stride, true);
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
  void accumulate_seen(const Group& g, std::int64_t block, std::int64_t begin,
                       std::int64_t end) const noexcept {
    constexpr std::int64_t kStep = T::kPairs ? 2 : 1;
    const std::int64_t stride = L::out_stride(unit.head_dim);
    for (std::int64_t r = 0; r < g.count; ++r)
      for (std::int64_t key = begin; key < end; ++key) {
        const std::int64_t head = head_of(g.first + r), i = query_of(g.first + r);
        if (!sees(head, i, block * T::kBlock + key)) continue;
        const float weight = part(scratch.weights[r * L::kWeightStride + key / kStep], key);
        float* const out = scratch.out + (g.first + r) * stride;
        const Word* const panels = unit.value_panels + block * unit.value_words;
        for (std::int64_t d = 0; d < unit.head_dim; ++d)
          out[d] +=
              weight * part(panels[(d / T::kPanel * (T::kBlock / kStep) + key / kStep) * T::kPanel +
                                   d % T::kPanel],
                            key);
      }
  }

  void fold_block(const Group& g, std::int64_t block) const noexcept {
    const std::int64_t first_key = block * T::kBlock;
    const std::int64_t begin =
        g.begin > first_key ? (g.begin - first_key) / T::kPanel * T::kPanel : 0;
    const std::int64_t end = least(g.end - first_key, T::kBlock);
    if (begin >= end) return;
    const std::int64_t padded = rounded_up(end, T::kLanes);
    score(g, block, begin, padded);
    const bool masked = unit.mask.data != nullptr || g.all_begin > first_key + begin ||
                        g.all_end < first_key + padded;
    for (std::int64_t r = 0; r < g.count; ++r) {
      if (masked) mask_row(g, r, first_key, begin, padded);
      soften_row(g, r, begin, padded);
    }
    if (masked && unit.odd[block] != 0)
      accumulate_seen(g, block, begin, end);
    else
      accumulate(g, block, begin, end);
  }

  void run() const noexcept {
    pack_queries();
    const std::int64_t stride = L::out_stride(unit.head_dim);
    for (std::int64_t x = 0; x < unit.rows * stride; ++x) scratch.out[x] = 0.0f;
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      scratch.most[r] = kNone;
      scratch.sum[r] = 0.0f;
    }
    Group groups[kBlockRows];
    std::int64_t count = 0;
    for (std::int64_t row = 0; row < unit.rows; row += T::kTileRows)
      groups[count++] = group_at(row);
    const std::int64_t last_block = (unit.last_key + T::kBlock - 1) / T::kBlock;
    for (std::int64_t block = unit.first_key / T::kBlock; block < last_block; ++block)
      for (std::int64_t g = 0; g < count; ++g) fold_block(groups[g], block);
  }
};

template <class T>
void attend(const Unit& unit, const Scratch& scratch) noexcept {
  Loop<T>{unit, scratch}.run();
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
          .added = bytes(T::kBlock),
          .out = bytes(kBlockRows * rounded_up(head_dim, T::kPanel)),
          .most = bytes(kBlockRows),
          .sum = bytes(kBlockRows)};
}

template <class T>
std::int64_t out_stride(std::int64_t head_dim) noexcept {
  return Layout<T>::out_stride(head_dim);
}

template <class T>
constexpr Kernel kernel_of(const char* name) noexcept {
  return {.name = name,
          .rows = T::kTileRows,
          .block_rows = kBlockRows,
          .panel = T::kPanel,
          .key_block = T::kBlock,
          .pairs = T::kPairs,
          .scratch_of = &scratch_of<T>,
          .out_stride = &out_stride<T>,
          .pack = &pack<T>,
          .attend = &attend<T>};
}

}  // namespace
}  // namespace annulus::flash

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

inline constexpr std::int64_t kChunk = 256;      // words of head_dim that one row of queries holds
inline constexpr std::int64_t kPad = 16;         // words, so that rows do not share a cache set
inline constexpr std::int64_t kBlockRows = 192;  // query rows of a unit, at most
inline constexpr float kNone = -__builtin_inff();  // the score of a key that is not seen
inline constexpr std::int64_t kLeastGroupsAhead = 4;

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
  bool started = false;                     // does `out` hold anything yet?
};

/// A group's part in a block: keys [begin, end) of it. begin is a multiple of the panel; scores
/// exist up to `padded`.
template <class T>
struct Item {
  Group* group = nullptr;
  std::int64_t block = 0, begin = 0, end = 0, padded = 0;
  bool masked = false;         // may a row not see a key?
  bool raised = false;         // is there a change below 0?
  float change[T::kTileRows];  // of the largest score, to scale `out` by before it is added to
};

template <class T>
class Loop {
 public:
  using V = typename T::V;
  using L = Layout<T>;
  static constexpr std::int64_t kMostGroups = kBlockRows / T::kTileRows;

  Loop(const Unit& unit, const Scratch& scratch) noexcept : unit(unit), scratch(scratch) {}

  void begin() noexcept {
    pack_queries();
    begin_rows();
  }

  void begin_rows() noexcept {
    for (std::int64_t row = 0; row < unit.rows; row += T::kTileRows)
      groups[group_count++] = group_at(row);
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      scratch.most[r] = kNone;
      T::store(scratch.sums + r * T::kLanes, T::set(0.0f));
    }
  }

  void end() noexcept {
    for (std::int64_t g = 0; g < group_count; ++g)
      if (!groups[g].started) clear_out(groups[g]);
    for (std::int64_t r = 0; r < unit.rows; ++r)
      scratch.sum[r] = T::reduce_add(T::load(scratch.sums + r * T::kLanes));
  }

  std::int64_t first_block() const noexcept { return unit.first_key / T::kBlock; }
  std::int64_t past_block() const noexcept { return (unit.last_key + T::kBlock - 1) / T::kBlock; }

  /// What is to be brought near during a block: the next one, and at the end what the unit was
  /// asked.
  void send_fetcher(std::int64_t block) noexcept {
    fetcher.clear();
    const std::int64_t next = block + 1 < past_block() ? block + 1 : first_block();
    if (!unit.resident && group_count >= kLeastGroupsAhead) {
      fetcher.add(words_errand(unit.key_panels + next * unit.key_words, unit.key_words));
      fetcher.add(words_errand(unit.value_panels + next * unit.value_words, unit.value_words));
    }
    const std::int64_t calls = group_count * fetches_per_group();
    std::int64_t lines = 0;
    for (const Errand& e : unit.errands)
      lines += e.rows * ((e.bytes + Fetcher::kLine - 1) / Fetcher::kLine);
    const std::int64_t blocks_needed = (lines + calls - 1) / calls;
    const std::int64_t begin = past_block() - blocks_needed;
    if (block == (begin > first_block() ? begin : first_block()))
      for (const Errand& e : unit.errands) fetcher.add(e);
    fetcher.spread(calls);
  }

  /// Where a group meets a block; nothing to do when begin >= end.
  void meet(Group& g, std::int64_t block, Item<T>& item) const noexcept {
    const std::int64_t first_key = block * T::kBlock;
    item.group = &g;
    item.block = block;
    item.begin = g.begin > first_key ? (g.begin - first_key) / T::kPanel * T::kPanel : 0;
    item.end = least(g.end - first_key, T::kBlock);
    item.padded = rounded_up(item.end, T::kKeyStep);
    item.masked = unit.mask.data != nullptr || g.all_begin > first_key + item.begin ||
                  g.all_end < first_key + item.padded;
    item.raised = false;
  }

  /// Raw scores of the group's rows.
  void score(const Item<T>& item) noexcept {
    const std::int64_t words = L::words(unit.head_dim);
    for (std::int64_t key = item.begin; key < item.padded; key += T::kPanel) {
      const Multiply run = T::template multiply_for<L::kQueryStride>(
          item.group->count, item.padded - key > T::kLanes ? 2 : 1);
      for (std::int64_t w = 0; w < words; w += L::kChunkWords)
        run(queries_at(item, w), keys_at(item, key, w), least(words - w, L::kChunkWords),
            scratch.scores + key, L::kScoreStride, w > 0, fetcher);
    }
  }

  /// Keys [begin, end) that row r of the group does not see get the score kNone; an additive mask
  /// is added. scores[x] is the score of key x of the block.
  void mask_row(const Item<T>& item, std::int64_t r, float* scores, std::int64_t begin,
                std::int64_t end) const noexcept {
    const std::int64_t i = query_of(item.group->first + r), first_key = item.block * T::kBlock;
    if (unit.mask.data != nullptr)
      apply_mask(scores, head_of(item.group->first + r), i, item, begin, end);
    const std::int64_t from = unit.band.begin(i) - first_key, to = unit.band.end(i) - first_key;
    for (std::int64_t x = begin; x < end; x += T::kLanes)
      if (x < from || x + T::kLanes > to)
        T::store(scores + x, T::between(T::load(scores + x), from - x, to - x));
  }

  /// The largest score of row r, after masks; raises what is known of the row.
  void find_most(Item<T>& item, std::int64_t r) const noexcept {
    if (item.masked)
      mask_row(item, r, scratch.scores + r * L::kScoreStride, item.begin, item.padded);
    const float* const scores = scratch.scores + r * L::kScoreStride;
    V top = T::set(kNone);
    for (std::int64_t x = item.begin; x < item.padded; x += T::kLanes)
      top = T::max(top, T::load(scores + x));
    const float here = T::reduce_max(top);
    float& most = scratch.most[item.group->first + r];
    item.change[r] = 0.0f;
    if (!(here > most)) return;
    item.change[r] = most - here;
    item.raised = true;
    most = here;
  }

  /// Scores of row r to weights exp(score - most), added to its sum.
  void weigh(const Item<T>& item, std::int64_t r) const noexcept {
    const float* const scores = scratch.scores + r * L::kScoreStride;
    const float most = scratch.most[item.group->first + r];
    // Nothing seen: every weight becomes 0.
    const V unit_of_two = T::set(unit.exp2_unit), shifts = T::set(most == kNone ? 0.0f : most);
    float* const sums = scratch.sums + (item.group->first + r) * T::kLanes;
    V total = T::load(sums);
    if (item.change[r] < 0.0f) total = T::mul(total, T::exp2(T::set(item.change[r]), unit_of_two));
    if constexpr (T::kPairs) {
      Word* const weights = scratch.weights + r * L::kWeightStride;
      for (std::int64_t x = item.begin; x < item.padded; x += 2 * T::kLanes) {
        const V low = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        // A panel with one vector of keys has nothing in its second half.
        const V high = T::kKeyStep == T::kPanel || x + T::kLanes < item.padded
                           ? T::exp2(T::sub(T::load(scores + x + T::kLanes), shifts), unit_of_two)
                           : T::set(0.0f);
        total = T::add(total, T::add(low, high));
        T::store_pairs(weights + x / 2, low, high);
      }
    } else {
      float* const weights = reinterpret_cast<float*>(scratch.weights) + r * L::kWeightStride;
      for (std::int64_t x = item.begin; x < item.padded; x += T::kLanes) {
        const V weight = T::exp2(T::sub(T::load(scores + x), shifts), unit_of_two);
        total = T::add(total, weight);
        T::store(weights + x, weight);
      }
    }
    T::store(sums, total);
  }

  /// Scales `out` where the largest score has risen since it was added to.
  void rescale(const Item<T>& item) const noexcept {
    if (!item.raised || !item.group->started) return;
    const std::int64_t stride = L::out_stride(unit.head_dim);
    for (std::int64_t r = 0; r < item.group->count; ++r) {
      if (!(item.change[r] < 0.0f)) continue;
      const V keep = T::exp2(T::set(item.change[r]), T::set(unit.exp2_unit));
      float* const out = out_at(item, r);
      for (std::int64_t d = 0; d < stride; d += T::kLanes)
        T::store(out + d, T::mul(T::load(out + d), keep));
    }
  }

  /// 0 * NaN would reach rows that do not see the key.
  bool needs_care(const Item<T>& item) const noexcept {
    return item.masked && unit.odd[item.block] != 0;
  }

  /// out += weights * values, rescaled before.
  void accumulate(const Item<T>& item) noexcept {
    if (needs_care(item)) return accumulate_seen(item);
    const std::int64_t stride = L::out_stride(unit.head_dim);
    for (std::int64_t d = 0; d < unit.head_dim; d += T::kPanel) {
      const Multiply run = T::template multiply_for<L::kWeightStride>(
          item.group->count, unit.head_dim - d > T::kLanes ? 2 : 1);
      run(scratch.weights + item.begin / L::kKeysPerWord, values_at(item, d), value_steps(item),
          out_at(item, 0) + d, stride, item.group->started, fetcher);
    }
    item.group->started = true;
  }

  /// accumulate() for a block with NaN or Inf among its values: key by key, only those seen.
  void accumulate_seen(const Item<T>& item) const noexcept {
    if (!item.group->started) clear_out(*item.group);
    item.group->started = true;
    const Word* const panels = unit.value_panels + item.block * unit.value_words;
    for (std::int64_t r = 0; r < item.group->count; ++r) {
      float* const out = out_at(item, r);
      for (std::int64_t key = item.begin; key < item.end; ++key) {
        if (!sees(item, r, key)) continue;
        const std::int64_t step = key / L::kKeysPerWord;
        const float weight = part(scratch.weights[r * L::kWeightStride + step], key);
        for (std::int64_t d = 0; d < unit.head_dim; ++d) {
          const std::int64_t panel = d / T::kPanel * (T::kBlock / L::kKeysPerWord);
          out[d] += weight * part(panels[(panel + step) * T::kPanel + d % T::kPanel], key);
        }
      }
    }
  }

  // Operands of the two products.
  const Word* queries_at(const Item<T>& item, std::int64_t word) const noexcept {
    return scratch.queries +
           (word / L::kChunkWords * kBlockRows + item.group->first) * L::kQueryStride;
  }
  const Word* keys_at(const Item<T>& item, std::int64_t key, std::int64_t word) const noexcept {
    return unit.key_panels + item.block * unit.key_words +
           (key / T::kPanel * L::words(unit.head_dim) + word) * T::kPanel;
  }
  const Word* values_at(const Item<T>& item, std::int64_t d) const noexcept {
    return unit.value_panels + item.block * unit.value_words +
           (d / T::kPanel * (T::kBlock / L::kKeysPerWord) + item.begin / L::kKeysPerWord) *
               T::kPanel;
  }
  std::int64_t value_steps(const Item<T>& item) const noexcept {
    return rounded_up((item.end - item.begin + L::kKeysPerWord - 1) / L::kKeysPerWord,
                      T::kWordStep);
  }
  float* out_at(const Item<T>& item, std::int64_t r) const noexcept {
    return scratch.out + (item.group->first + r) * L::out_stride(unit.head_dim);
  }

  void clear_out(const Group& g) const noexcept {
    const std::int64_t stride = L::out_stride(unit.head_dim);
    float* const out = scratch.out + g.first * stride;
    for (std::int64_t x = 0; x < g.count * stride; x += T::kLanes) T::store(out + x, T::set(0.0f));
  }

  /// Does row r of the group see key `key` of the block?
  bool sees(const Item<T>& item, std::int64_t r, std::int64_t key) const noexcept {
    return sees(head_of(item.group->first + r), query_of(item.group->first + r),
                item.block * T::kBlock + key);
  }

  /// The query of row r of the unit.
  const std::byte* query_at(std::int64_t r) const noexcept {
    return query_at(head_of(r), query_of(r));
  }

  const Unit& unit;
  const Scratch& scratch;
  Group groups[kMostGroups];
  std::int64_t group_count = 0;
  Fetcher fetcher;

 private:
  std::int64_t head_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) / unit.seq_q;
  }
  std::int64_t query_of(std::int64_t row) const noexcept {
    return (unit.first_row + row) % unit.seq_q;
  }

  const std::byte* query_at(std::int64_t head, std::int64_t query) const noexcept {
    return unit.queries.from(query).data +
           head * unit.head_stride * static_cast<std::int64_t>(size_of(unit.queries.dtype));
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
    const Source source = source_of<T>(unit.queries.dtype);
    if (source == Source::AsIs) return pack_queries_from<Source::AsIs>();
    if constexpr (!T::kPairs) {
      if (source == Source::Bf16)
        pack_queries_from<Source::Bf16>();
      else
        pack_queries_from<Source::F16>();
    }
  }

  template <Source kSource>
  void pack_queries_from() const noexcept {
    const std::int64_t words = L::words(unit.head_dim);
    const std::int64_t plain = plain_words<T>(unit.queries, unit.head_dim);
    const V sign = T::set(!unit.negate ? 0.0f
                          : T::kPairs  ? __builtin_bit_cast(float, 0x80008000u)
                                       : -0.0f);
    std::int64_t head = head_of(0), query = query_of(0);
    for (std::int64_t r = 0; r < unit.rows; ++r) {
      const std::byte* const row = query_at(head, query);
      for (std::int64_t w = 0; w < words; w += T::kLanes) {
        Word* const to = scratch.queries + (w / L::kChunkWords * kBlockRows + r) * L::kQueryStride +
                         w % L::kChunkWords;
        const V x = w < plain ? load_words<T, kSource>(row, w)
                              : words_at<T>(unit.queries, row, w, unit.head_dim);
        T::store(reinterpret_cast<float*>(to), T::flip(x, sign));
      }
      if (++query == unit.seq_q) ++head, query = 0;
    }
  }

  static Errand words_errand(const Word* at, std::int64_t words) noexcept {
    return {reinterpret_cast<const std::byte*>(at), words * 4, 0, 1, false};
  }

  /// Calls of Fetcher::some() while a group goes through a whole block.
  std::int64_t fetches_per_group() const noexcept {
    const std::int64_t words = L::words(unit.head_dim), panels = T::kBlock / T::kPanel;
    const std::int64_t columns = (unit.head_dim + T::kPanel - 1) / T::kPanel;
    return panels * ((words + T::kFetchSteps - 1) / T::kFetchSteps) +
           columns * (T::kBlock / L::kKeysPerWord / T::kFetchSteps);
  }

  void apply_mask(float* scores, std::int64_t head, std::int64_t i, const Item<T>& item,
                  std::int64_t begin, std::int64_t end) const noexcept {
    const std::int64_t first_key = item.block * T::kBlock;
    const std::int64_t last = least(end, unit.band.keys - first_key);  // it has no more
    const std::int64_t at = head * unit.mask.head + i * unit.mask.row + first_key * unit.mask.key;
    const Rows row{unit.mask.data + at * static_cast<std::int64_t>(size_of(unit.mask.dtype)),
                   unit.mask.dtype, 0, unit.mask.key};
    if (unit.mask.dtype == DType::Bool) {
      for (std::int64_t x = begin; x < last; x += T::kLanes)
        T::store(scores + x, T::hide_unseen(T::load(scores + x), row, x, last));
      return;
    }
    const V scale = T::set(unit.scale);
    for (std::int64_t x = begin; x < last; x += T::kLanes) {
      const V added = floats_at<T>(row, row.data, x, last);
      T::store(scores + x, T::hide(T::fma(T::load(scores + x), scale, added), added));
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
};

}  // namespace
}  // namespace annulus::flash

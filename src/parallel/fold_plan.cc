#include "parallel/fold_plan.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "base/error.h"

namespace annulus {

namespace {

// A block of neighbouring rows of a tensor, made of one or more runs.
struct Block {
  std::int64_t at = 0, rows = 0, position = 0;
  std::vector<std::int32_t> lengths;  // real rows per entry; empty: all
};

// Real rows of a run, per entry; empty when all are.
std::vector<std::int32_t> lengths_of(const Sequence& sequence, const RowRun& run) {
  std::vector<std::int32_t> lengths;
  for (const std::int64_t length : sequence.segments[run.segment].lengths)
    lengths.push_back(
        static_cast<std::int32_t>(std::clamp<std::int64_t>(length - run.first, 0, run.rows)));
  const bool all = std::all_of(lengths.begin(), lengths.end(),
                               [&](std::int32_t length) { return length == run.rows; });
  return all ? std::vector<std::int32_t>{} : lengths;
}

// Joins neighbours in memory; `by_position`: only those that are neighbours in the sequence too.
std::vector<Block> blocks_of(const Side& side, bool by_position, bool padded) {
  std::vector<Block> blocks;
  for (const RowRun& run : side.runs) {
    std::vector<std::int32_t> lengths;
    if (padded) lengths = lengths_of(side.sequence, run);
    const bool joins =
        !blocks.empty() && blocks.back().lengths.empty() &&
        (!by_position || blocks.back().position + blocks.back().rows == run.position);
    if (!joins) blocks.push_back({run.at, 0, run.position, {}});
    Block& block = blocks.back();
    for (std::int32_t& length : lengths) length += static_cast<std::int32_t>(block.rows);
    block.rows += run.rows;
    block.lengths = std::move(lengths);
  }
  return blocks;
}

// One entry's rows of a block of queries and of a block of keys, counted within the entry.
struct EntryRows {
  std::int64_t first_q = 0, q_rows = 0, first_k = 0, k_rows = 0;
  std::int64_t to_bottom_right = 0;  // keys minus queries of the whole entry
};

std::int32_t within(std::int64_t start, const Block& block) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(start - block.position, 0, block.rows));
}

std::int64_t real_keys(const Sequence& sequence, std::size_t entry) {
  const Segment& last = sequence.segments.back();
  return sequence.rows() - (last.lengths.empty() ? 0 : last.rows - last.lengths[entry]);
}

EntryRows entry_rows(const Side& q, const Side& kv, const Block& queries, const Block& keys,
                     std::size_t n) {
  if (!kv.sequence.packed()) {
    return {queries.position, queries.rows, keys.position,
            keys.lengths.empty() ? keys.rows : keys.lengths[n],
            real_keys(kv.sequence, n) - q.sequence.rows()};
  }
  const auto& sq = q.sequence.starts;
  const auto& sk = kv.sequence.starts;
  return {std::max<std::int64_t>(queries.position - sq[n], 0),
          within(sq[n + 1], queries) - within(sq[n], queries),
          std::max<std::int64_t>(keys.position - sk[n], 0),
          within(sk[n + 1], keys) - within(sk[n], keys), (sk[n + 1] - sk[n]) - (sq[n + 1] - sq[n])};
}

constexpr std::int64_t kFar = std::int64_t{1} << 40;  // no bound

// Key minus query, both counted in their blocks: seen from `lower` to `upper`.
struct Band {
  std::int64_t lower = -kFar, upper = kFar;
};

Band band_of(const Positions& positions, const EntryRows& rows) {
  Band band;
  if (positions.causal == Causal::TopLeft) band.upper = 0;
  if (positions.causal == Causal::BottomRight) band.upper = rows.to_bottom_right;
  if (positions.window[1] >= 0)
    band.upper = std::min(band.upper, rows.to_bottom_right + positions.window[1]);
  if (positions.window[0] >= 0) band.lower = rows.to_bottom_right - positions.window[0];
  const std::int64_t shift = rows.first_q - rows.first_k;
  if (band.upper != kFar) band.upper += shift;
  if (band.lower != -kFar) band.lower += shift;
  return band;
}

bool sees_some(const Band& band, const EntryRows& rows) {
  return rows.q_rows > 0 && rows.k_rows > 0 && band.lower <= band.upper &&
         band.lower <= rows.k_rows - 1 && band.upper >= 1 - rows.q_rows;
}

bool sees_all(const Band& band, const EntryRows& rows) {
  return band.upper >= rows.k_rows - 1 && band.lower <= 1 - rows.q_rows;
}

std::int32_t narrow(std::int64_t value) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 2;
  return static_cast<std::int32_t>(std::clamp(value, -kMost, kMost));
}

// The calls of one block of queries over one block of keys. Bands of different widths (alignment
// top-left together with a window, entries of different lengths) take a call each.
void plan_block(const Side& q, const Side& kv, const Block& queries, const Block& keys,
                const Positions& positions, std::int64_t entries, std::vector<FoldCall>& calls) {
  FoldCall call{.q_at = queries.at,
                .q_rows = queries.rows,
                .k_at = keys.at,
                .k_rows = keys.rows,
                .column = keys.position,
                .positions = {},
                .diagonals = {},
                .kv_lengths = keys.lengths,
                .cu_q = {},
                .cu_k = {}};
  if (kv.sequence.packed()) {
    for (const std::int64_t start : q.sequence.starts) call.cu_q.push_back(within(start, queries));
    for (const std::int64_t start : kv.sequence.starts) call.cu_k.push_back(within(start, keys));
  }
  std::vector<EntryRows> rows;
  std::vector<Band> bands;
  bool all = true;
  std::set<std::int64_t> widths;  // of the entries that see anything here
  for (std::int64_t n = 0; n < entries; ++n) {
    rows.push_back(entry_rows(q, kv, queries, keys, static_cast<std::size_t>(n)));
    bands.push_back(band_of(positions, rows.back()));
    if (!sees_some(bands.back(), rows.back())) {
      all = all && (rows.back().q_rows == 0 || rows.back().k_rows == 0);
      continue;
    }
    all = all && sees_all(bands.back(), rows.back());
    const bool bounded = bands.back().lower != -kFar && bands.back().upper != kFar;
    widths.insert(bounded ? bands.back().upper - bands.back().lower : -1);
  }
  if (widths.empty()) return;
  if (all) {
    calls.push_back(std::move(call));
    return;
  }
  for (const std::int64_t width : widths) {
    FoldCall part = call;
    std::vector<std::int32_t> lengths;
    bool whole = true;  // every entry's keys take part
    for (std::size_t n = 0; n < rows.size(); ++n) {
      const Band& band = bands[n];
      const bool bounded = band.lower != -kFar && band.upper != kFar;
      const bool taken =
          sees_some(band, rows[n]) && width == (bounded ? band.upper - band.lower : -1);
      lengths.push_back(taken ? narrow(rows[n].k_rows) : 0);
      whole = whole && taken;
      part.diagonals.push_back(narrow(band.upper != kFar ? band.upper : band.lower));
    }
    if (!whole) part.kv_lengths = std::move(lengths);
    if (positions.window[0] < 0)
      part.positions.causal = Causal::TopLeft;
    else if (width >= 0)
      part.positions.window = {width, 0};
    else
      part.positions.window = {0, -1};
    calls.push_back(std::move(part));
  }
}

}  // namespace

std::vector<FoldCall> plan_folds(const Side& q, const Side& kv, const Positions& positions,
                                 bool masked, std::int64_t entries) {
  const bool packed = kv.sequence.packed();
  const bool by_position = positions.any() || packed;
  const std::vector<Block> queries = blocks_of(q, by_position, false);
  const std::vector<Block> keys = blocks_of(kv, by_position || masked, !packed);
  std::vector<FoldCall> calls;
  for (const Block& q_block : queries)
    for (const Block& k_block : keys)
      plan_block(q, kv, q_block, k_block, positions, entries, calls);
  return calls;
}

}  // namespace annulus

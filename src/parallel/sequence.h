// How a joint sequence is dealt to the ranks that share it. All of it is computed from the whole
// sequence's description, which every rank has: no rank asks another what it holds.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/plan.h"

namespace annulus {

/// Rows that belong together: image latents, one condition picture, text.
struct Segment {
  std::int64_t rows = 0;    // over all ranks
  bool replicated = false;  // every rank holds it whole; attended to once all the same
  /// Real rows per entry of the batch, the rest is padding at its end; empty: all are real.
  std::vector<std::int64_t> lengths = {};
};

/// Who holds which rows of a segment that is not replicated.
enum class Deal : std::uint8_t {
  Runs,   // one run each, in rank order
  ZigZag  // of 2 x ranks runs, rank r holds run r and run (2 x ranks - 1 - r): equal work under
          // causal masks
};

/// Segments one after the other; a row's position is its place in this order, on however many
/// ranks. A rank's tensor holds its share of the first segment, then of the second, and so on.
struct Sequence {
  std::vector<Segment> segments;
  Deal deal = Deal::Runs;
  /// Packed sequences (varlen): where each begins, and the end: 0, ..., rows(). One segment then.
  std::vector<std::int64_t> starts = {};

  std::int64_t rows() const noexcept;
  bool packed() const noexcept { return !starts.empty(); }
};

/// Rows of one segment that lie together in a rank's tensor and in the sequence.
struct RowRun {
  std::size_t segment = 0;
  std::int64_t first = 0;     // row of the segment
  std::int64_t rows = 0;      // > 0
  std::int64_t position = 0;  // of the first, in the sequence
  std::int64_t at = 0;        // row of the rank's tensor
};

/// Part `index` of `parts` of `rows`: sizes differ by one at most, the first are the larger.
struct Share {
  std::int64_t begin = 0, end = 0;
};
Share share_of(std::int64_t rows, int parts, int index);

/// What rank `rank` of `ranks` holds, in the order of its tensor.
std::vector<RowRun> runs_of(const Sequence& sequence, int ranks, int rank);

/// What a Ulysses group holds together after the exchange of heads: the shares of `degree`
/// neighbouring ranks, joined where they touch.
std::vector<RowRun> group_runs(const Sequence& sequence, int ring, int ulysses, int ring_rank);

/// Only the runs that are dealt out (not replicated), numbered as in a tensor of their own.
std::vector<RowRun> dealt(const Sequence& sequence, const std::vector<RowRun>& runs);

std::int64_t rows_of(const std::vector<RowRun>& runs) noexcept;

}  // namespace annulus

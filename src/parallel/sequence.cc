#include "parallel/sequence.h"

#include <algorithm>

#include "base/error.h"

namespace annulus {

namespace {

// Runs of one segment that rank `rank` holds, by their first row.
std::vector<Share> shares_of(const Sequence& sequence, const Segment& segment, int ranks,
                             int rank) {
  if (segment.replicated) return {{0, segment.rows}};
  if (sequence.deal == Deal::Runs) return {share_of(segment.rows, ranks, rank)};
  return {share_of(segment.rows, 2 * ranks, rank),
          share_of(segment.rows, 2 * ranks, 2 * ranks - 1 - rank)};
}

// Runs of each segment in turn; shares(segment) in rising order.
template <class Shares>
std::vector<RowRun> lay_out(const Sequence& sequence, const Shares& shares) {
  std::vector<RowRun> runs;
  std::int64_t before = 0, at = 0;
  for (std::size_t s = 0; s < sequence.segments.size(); ++s) {
    for (const Share& share : shares(sequence.segments[s])) {
      const std::int64_t rows = share.end - share.begin;
      if (rows == 0) continue;
      const bool joins = !runs.empty() && runs.back().segment == s &&
                         runs.back().first + runs.back().rows == share.begin;
      if (joins)
        runs.back().rows += rows;
      else
        runs.push_back({s, share.begin, rows, before + share.begin, at});
      at += rows;
    }
    before += sequence.segments[s].rows;
  }
  return runs;
}

}  // namespace

std::int64_t Sequence::rows() const noexcept {
  std::int64_t rows = 0;
  for (const Segment& segment : segments) rows += segment.rows;
  return rows;
}

Share share_of(std::int64_t rows, int parts, int index) {
  const std::int64_t base = rows / parts, larger = rows % parts;
  const std::int64_t begin = index * base + std::min<std::int64_t>(index, larger);
  return {begin, begin + base + (index < larger ? 1 : 0)};
}

std::vector<RowRun> runs_of(const Sequence& sequence, int ranks, int rank) {
  return lay_out(sequence,
                 [&](const Segment& segment) { return shares_of(sequence, segment, ranks, rank); });
}

std::vector<RowRun> group_runs(const Sequence& sequence, int ring, int ulysses, int ring_rank) {
  return lay_out(sequence, [&](const Segment& segment) {
    std::vector<Share> all;
    for (int u = 0; u < (segment.replicated ? 1 : ulysses); ++u)
      for (const Share& share :
           shares_of(sequence, segment, ring * ulysses, ring_rank * ulysses + u))
        all.push_back(share);
    std::sort(all.begin(), all.end(),
              [](const Share& a, const Share& b) { return a.begin < b.begin; });
    return all;
  });
}

std::vector<RowRun> dealt(const Sequence& sequence, const std::vector<RowRun>& runs) {
  std::vector<RowRun> some;
  std::int64_t at = 0;
  for (RowRun run : runs) {
    if (sequence.segments[run.segment].replicated) continue;
    run.at = at;
    at += run.rows;
    some.push_back(run);
  }
  return some;
}

std::int64_t rows_of(const std::vector<RowRun>& runs) noexcept {
  std::int64_t rows = 0;
  for (const RowRun& run : runs) rows += run.rows;
  return rows;
}

}  // namespace annulus

#include "parallel/shard.h"

#include "base/error.h"

namespace annulus {

namespace {

std::vector<RowRun> runs(const Lane& lane, const Sequence& sequence, int rank) {
  return runs_of(sequence, lane.mesh.sequence().size(), rank);
}

void check_rows(const Tensor& x, int axis, std::int64_t rows, std::string_view what) {
  require(axis >= 0 && axis < x.shape().rank() && x.shape()[axis] == rows,
          ErrorCode::InvalidRequest, what, ": wanted ", rows, " rows along axis ", axis, ", found ",
          x.shape());
}

}  // namespace

Tensor shard(const Lane& lane, const Tensor& whole, int axis, const Sequence& sequence) {
  check_rows(whole, axis, sequence.rows(), "shard");
  if (lane.mesh.sequence().size() == 1) return whole;
  const std::vector<RowRun> mine = runs(lane, sequence, lane.mesh.sequence().rank());
  Tensor part = Tensor::empty(whole.shape().with(axis, rows_of(mine)), whole.dtype(), lane.device);
  for (const RowRun& run : mine) {
    Tensor to = part.slice(axis, run.at, run.at + run.rows);
    lane.device.copy(lane.stream, whole.slice(axis, run.position, run.position + run.rows), to);
  }
  return part;
}

Tensor gather(const Lane& lane, const Tensor& part, int axis, const Sequence& sequence) {
  Communicator& group = lane.mesh.sequence();
  const std::vector<RowRun> mine = runs(lane, sequence, group.rank());
  check_rows(part, axis, rows_of(mine), "gather");
  if (group.size() == 1) return part;

  const auto shape_of = [&](int rank) {
    return part.shape().with(axis, rows_of(dealt(sequence, runs(lane, sequence, rank))));
  };
  std::vector<std::int64_t> counts;
  std::int64_t total = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    counts.push_back(shape_of(rank).elements());
    total += counts.back();
  }
  const DType dtype = part.dtype();
  Tensor send = Tensor::empty(shape_of(group.rank()), dtype, lane.device);
  Tensor whole = Tensor::empty(part.shape().with(axis, sequence.rows()), dtype, lane.device);
  std::int64_t at = 0;
  for (const RowRun& run : mine) {
    const bool replicated = sequence.segments[run.segment].replicated;
    Tensor to = replicated ? whole.slice(axis, run.position, run.position + run.rows)
                           : send.slice(axis, at, at + run.rows);
    lane.device.copy(lane.stream, part.slice(axis, run.at, run.at + run.rows), to);
    if (!replicated) at += run.rows;
  }
  Tensor all = Tensor::empty({total}, dtype, lane.device);
  group.all_gather(lane.stream, send.reshape({send.elements()}), counts, all);
  std::int64_t begin = 0;
  for (int rank = 0; rank < group.size(); ++rank) {
    const std::int64_t count = counts[static_cast<std::size_t>(rank)];
    const Tensor theirs = all.slice(0, begin, begin + count).reshape(shape_of(rank));
    begin += count;
    for (const RowRun& run : dealt(sequence, runs(lane, sequence, rank))) {
      Tensor to = whole.slice(axis, run.position, run.position + run.rows);
      lane.device.copy(lane.stream, theirs.slice(axis, run.at, run.at + run.rows), to);
    }
  }
  return whole;
}

}  // namespace annulus

#include "parallel/band.h"

#include <algorithm>

#include "base/error.h"
#include "parallel/sequence.h"
#include "tensor/copy.h"

namespace annulus {

Band::Band(Communicator& ranks, std::int64_t rows) : ranks_(&ranks), rows_(rows) {
  require(rows >= 1, ErrorCode::InvalidRequest, "band: wanted at least one row, found ", rows);
  rank_ = ranks.rank();
  count_ = static_cast<int>(std::min<std::int64_t>(ranks.size(), rows));
  if (empty()) return;
  const Share share = share_of(rows, count_, rank_);
  begin_ = share.begin;
  end_ = share.end;
}

std::int64_t Band::rows_of(int rank) const {
  const Share share = share_of(rows_, count_, rank);
  return share.end - share.begin;
}

Tensor with_halo(const Lane& lane, const Band& band, const Tensor& x) {
  if (!band.divided()) return x;
  constexpr int kAxis = 2;
  const std::int64_t height = x.shape()[kAxis];
  const std::int64_t above = band.above() ? 1 : 0, below = band.below() ? 1 : 0;
  Tensor out = Tensor::empty(x.shape().with(kAxis, height + above + below), x.dtype(), lane.device);
  const Shape row = x.shape().with(kAxis, 1);
  // Each pair of neighbours exchanges its border rows; both begin before either waits.
  struct Border {
    Tensor mine, theirs;
    std::unique_ptr<Transfer> transfer;
    std::int64_t at;  // where theirs goes
  };
  std::vector<Border> borders;
  const auto begin = [&](int peer, std::int64_t own, std::int64_t at) {
    Border border = {contiguous(lane.stream, x.slice(kAxis, own, own + 1)),
                     Tensor::empty(row, x.dtype(), lane.device), nullptr, at};
    border.transfer = band.ranks_->exchange(lane.stream, border.mine, peer, border.theirs, peer);
    borders.push_back(std::move(border));
  };
  if (band.above()) begin(band.rank_ - 1, 0, 0);
  if (band.below()) begin(band.rank_ + 1, height - 1, above + height);
  Tensor middle = out.slice(kAxis, above, above + height);
  copy(lane.stream, x, middle);
  for (Border& border : borders) {
    border.transfer->wait();
    Tensor to = out.slice(kAxis, border.at, border.at + 1);
    copy(lane.stream, border.theirs, to);
  }
  return out;
}

Tensor joined(const Lane& lane, const Band& band, const Tensor& x, int axis) {
  if (!band.divided()) return x;
  const std::int64_t own = band.end() - band.begin();
  require(x.shape()[axis] % own == 0, ErrorCode::InvalidRequest, "band: wanted a multiple of ", own,
          " along axis ", axis, ", found ", x.shape());
  const std::int64_t unit = x.shape()[axis] / own;
  const Tensor mine = contiguous(lane.stream, x);
  Tensor whole = Tensor::empty(x.shape().with(axis, band.rows_ * unit), x.dtype(), lane.device);
  std::vector<Tensor> parts;
  std::vector<std::unique_ptr<Transfer>> transfers;
  for (int rank = 0; rank < band.count_; ++rank) {
    if (rank == band.rank_) {
      parts.push_back(mine);
      transfers.push_back(nullptr);
      continue;
    }
    const Shape shape = x.shape().with(axis, band.rows_of(rank) * unit);
    parts.push_back(Tensor::empty(shape, x.dtype(), lane.device));
    transfers.push_back(band.ranks_->exchange(lane.stream, mine, rank, parts.back(), rank));
  }
  std::int64_t at = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (transfers[i]) transfers[i]->wait();
    const std::int64_t end = at + parts[i].shape()[axis];
    Tensor to = whole.slice(axis, at, end);
    copy(lane.stream, parts[i], to);
    at = end;
  }
  return whole;
}

}  // namespace annulus

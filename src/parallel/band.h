// A picture whose rows are dealt to ranks, for layers that look at neighbouring rows: convolutions
// exchange the rows at the borders and give exactly what one rank gives.
#pragma once

#include <cstdint>
#include <vector>

#include "parallel/lane.h"

namespace annulus {

/// This rank's rows. The first ranks hold the rows, one run each, in order (share_of of
/// sequence.h); where there are more ranks than rows, the last have none and take no part.
class Band {
 public:
  Band() = default;  // all rows are here
  /// `rows` of the picture at its coarsest; finer levels have whole multiples of it.
  Band(Communicator& ranks, std::int64_t rows);

  bool divided() const noexcept { return count_ > 1; }
  bool above() const noexcept { return rank_ > 0; }           // has a neighbour above
  bool below() const noexcept { return rank_ + 1 < count_; }  // and below
  bool empty() const noexcept { return rank_ >= count_; }
  std::int64_t begin() const noexcept { return begin_; }  // of the coarsest level's rows
  std::int64_t end() const noexcept { return end_; }

 private:
  friend Tensor with_halo(const Lane& lane, const Band& band, const Tensor& x);
  friend Tensor joined(const Lane& lane, const Band& band, const Tensor& x, int axis);
  std::int64_t rows_of(int rank) const;

  Communicator* ranks_ = nullptr;
  int rank_ = 0, count_ = 1;
  std::int64_t rows_ = 0, begin_ = 0, end_ = 0;
};

/// x [batch, frames, height, width, channels] with one row more at each edge where a neighbour
/// continues the picture. Collective over the ranks that hold rows; x itself on one rank.
Tensor with_halo(const Lane& lane, const Band& band, const Tensor& x);

/// All ranks' parts along `axis`, whose extent is a multiple of the band's rows. Collective as
/// above; x itself on one rank.
Tensor joined(const Lane& lane, const Band& band, const Tensor& x, int axis);

}  // namespace annulus

#pragma once

#include "parallel/lane.h"
#include "parallel/sequence.h"

namespace annulus {

/// A tensor whose rows are dealt to the ranks of a Ulysses group.
struct HeadsItem {
  Tensor x;  // [batch, rows of this rank, heads, channels]
  const Sequence& sequence;
  std::int64_t heads;  // after replication: a multiple of the group's size
};

/// Exchanges rows for heads: each rank gives away its rows of others' heads and gets all the
/// group's rows of its own. Results are [batch, rows of the group, heads / ranks, channels] in the
/// order of group_runs(). One message to each rank holds all items (of one dtype). Replicated
/// segments do not travel. Source: Jacobs et al., DeepSpeed Ulysses (arXiv 2309.14509).
std::vector<Tensor> rows_to_heads(const Lane& lane, const std::vector<HeadsItem>& items);

/// The way back: x [batch, rows of the group, heads / ranks, channels] to [batch, rows of this
/// rank, heads, channels]. Every rank gets the replicated rows too.
Tensor heads_to_rows(const Lane& lane, const Tensor& x, const Sequence& sequence);

}  // namespace annulus

#pragma once

#include "parallel/lane.h"
#include "parallel/sequence.h"

namespace annulus {

/// This rank's rows of `whole` (sequence.rows() along `axis`), copied, in the order of runs_of();
/// `whole` itself when one rank shares the sequence.
Tensor shard(const Lane& lane, const Tensor& whole, int axis, const Sequence& sequence);

/// All rows, on every rank of the mesh's sequence group. Collective. Replicated segments are this
/// rank's own. Throws PeerFailure.
Tensor gather(const Lane& lane, const Tensor& part, int axis, const Sequence& sequence);

}  // namespace annulus

// Plays a plan's messages and hops one after the other, as discrete events: uneven shards, slow
// ranks and shared ways out of a host show, which plan_cost() reckons by the largest shard. No data
// and no threads: thousands of ranks take seconds. Start with simulate().
#pragma once

#include <cstdint>

#include "parallel/cost.h"

namespace annulus {

struct Simulated {
  double seconds = 0;               // of one step, until the last rank is done
  double compute_seconds = 0;       // of the rank that computes longest
  double waiting_seconds = 0;       // not computing, mean over ranks
  double most_waiting_seconds = 0;  // of the rank that waits longest
  double sent_bytes = 0;            // in messages, by all ranks, in one step
  std::uint64_t events = 0;         // played
};

/// One step of `work` under `plan`. Two layers are played from a common start (one, where a layer
/// has millions of hops); later ones take as long as the last. Throws as plan_cost().
///
/// Model: a message begins when its sender has the shard and its receiver has asked for it, as MPI
/// sends long messages; within a host it takes the two ranks' own way, between hosts it queues for
/// the sender's way out and then for the receiver's way in, first come first served, whole messages
/// at a time. A rank goes to its next hop when its arithmetic is done, the next shard is there and
/// its own has been taken (shards.cc).
Simulated simulate(const Workload& work, const Cluster& cluster, const ParallelPlan& plan);

}  // namespace annulus

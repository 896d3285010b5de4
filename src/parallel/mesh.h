#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "parallel/plan.h"

namespace annulus {

/// World ranks of the groups that `rank` belongs to, each in the group's order.
struct MeshRanks {
  std::vector<int> cfg, ring, ulysses;
  std::vector<int> sequence;  // ring x ulysses: those that share one sequence, in the order in
                              // which they hold it
};

MeshRanks mesh_ranks(const ParallelPlan& plan, int rank);

/// Where a rank stands among the others. Groups of one rank cost nothing.
class Mesh {
 public:
  /// Collective over `world`. Throws InvalidRequest when the plan's product differs from its ranks.
  Mesh(Communicator& world, ParallelPlan plan);

  Communicator& world() const noexcept { return *world_; }
  Communicator& cfg() const noexcept { return *cfg_; }
  Communicator& ring() const noexcept { return *ring_; }
  Communicator& ulysses() const noexcept { return *ulysses_; }
  Communicator& sequence() const noexcept { return *sequence_; }
  const ParallelPlan& plan() const noexcept { return plan_; }

 private:
  Communicator* world_;
  ParallelPlan plan_;
  std::shared_ptr<Communicator> cfg_, ring_, ulysses_, sequence_;
};

}  // namespace annulus

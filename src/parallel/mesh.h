#pragma once

#include "comm/communicator.h"
#include "parallel/plan.h"

namespace annulus {

/// Where a rank stands among the others.
class Mesh {
 public:
  /// Throws InvalidRequest when the plan's product differs from the ranks of `world`.
  Mesh(Communicator& world, ParallelPlan plan);
  Communicator& world() const noexcept { return *world_; }
  const ParallelPlan& plan() const noexcept { return plan_; }

 private:
  Communicator* world_;
  ParallelPlan plan_;
};

}  // namespace annulus

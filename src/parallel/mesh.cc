#include "parallel/mesh.h"

#include "base/error.h"

namespace annulus {

Mesh::Mesh(Communicator& world, ParallelPlan plan) : world_(&world), plan_(plan) {
  require(plan.cfg >= 1 && plan.ring >= 1 && plan.ulysses >= 1 && plan.ranks() == world.size(),
          ErrorCode::InvalidRequest, "parallel plan: wanted degrees whose product is ",
          world.size(), " ranks, found cfg ", plan.cfg, " x ring ", plan.ring, " x ulysses ",
          plan.ulysses);
}

}  // namespace annulus

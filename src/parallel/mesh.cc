#include "parallel/mesh.h"

#include <algorithm>

#include "base/error.h"

namespace annulus {

MeshRanks mesh_ranks(const ParallelPlan& plan, int rank) {
  const int shared = plan.ring * plan.ulysses;
  const int cfg = rank / shared, ring = rank / plan.ulysses % plan.ring,
            ulysses = rank % plan.ulysses;
  MeshRanks ranks;
  for (int c = 0; c < plan.cfg; ++c) ranks.cfg.push_back(c * shared + rank % shared);
  for (int r = 0; r < plan.ring; ++r)
    ranks.ring.push_back(cfg * shared + r * plan.ulysses + ulysses);
  for (int u = 0; u < plan.ulysses; ++u)
    ranks.ulysses.push_back(cfg * shared + ring * plan.ulysses + u);
  for (int s = 0; s < shared; ++s) ranks.sequence.push_back(cfg * shared + s);
  return ranks;
}

Mesh::Mesh(Communicator& world, ParallelPlan plan) : world_(&world), plan_(plan) {
  require(plan.cfg >= 1 && plan.ring >= 1 && plan.ulysses >= 1 && plan.ranks() == world.size(),
          ErrorCode::InvalidRequest, "parallel plan: wanted degrees whose product is ",
          world.size(), " ranks, found ", to_string(plan));
  const MeshRanks mine = mesh_ranks(plan, world.rank());
  // Whether a split takes place depends on the plan alone, so all ranks take part in the same ones.
  const auto group = [&](const std::vector<int>& ranks) -> std::shared_ptr<Communicator> {
    if (ranks.size() == 1) return make_single_rank();
    const auto place = std::find(ranks.begin(), ranks.end(), world.rank()) - ranks.begin();
    return world.split(ranks.front(), static_cast<int>(place));
  };
  cfg_ = group(mine.cfg);
  ring_ = group(mine.ring);
  ulysses_ = group(mine.ulysses);
  if (plan.ring == 1)
    sequence_ = ulysses_;
  else if (plan.ulysses == 1)
    sequence_ = ring_;
  else
    sequence_ = group(mine.sequence);
}

}  // namespace annulus

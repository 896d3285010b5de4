// The work of one layer as a plan divides it: what cost.cc and simulate.cc reckon with.
#pragma once

#include <vector>

#include "parallel/cost.h"

namespace annulus {

/// Shares of a layer's attention, by position in the ring (a position is a whole Ulysses group).
/// Numbers are those of one rank of the group.
class WorkShares {
 public:
  /// Throws as plan_cost().
  WorkShares(const Workload& work, const ParallelPlan& plan);

  int ring() const noexcept { return plan_.ring; }
  bool by_queries() const noexcept { return by_queries_; }

  /// Bytes that travel: K and V of the owner, or its queries.
  double message_bytes(int owner) const noexcept;
  /// Of the unfinished results that a rank returns to the owner of the queries; 0 by keys.
  double part_bytes(int owner) const noexcept;
  /// Of the block that a rank at `position` computes when it holds the shard of `owner`.
  double hop_flop(int position, int owner) const noexcept;

  /// Rows of one rank's tensor, before the exchange of heads.
  double rank_rows(int rank) const noexcept;
  /// Bytes from one rank of a Ulysses group to each other one: q, k and v on their way to heads...
  double to_heads_bytes(int rank) const noexcept;
  /// ... and the result on its way back to `rank`.
  double to_rows_bytes(int rank) const noexcept;
  /// Bytes that a rank reads and writes in its own memory beside attention: to pack and unpack, to
  /// begin and finish a running result.
  double copied_bytes(int rank) const noexcept;

  /// Memory of attend() on the rank that holds most (see PlanCost).
  double kv_memory() const noexcept;
  double attention_memory() const noexcept;

 private:
  struct Rows {  // of a rank's or a group's tensor
    std::int64_t all = 0, dealt = 0;
  };
  Rows rank_q(int rank) const { return ranks_q_[static_cast<std::size_t>(rank)]; }
  Rows rank_k(int rank) const { return ranks_k_[static_cast<std::size_t>(rank)]; }
  Rows group_q(int position) const { return groups_q_[static_cast<std::size_t>(position)]; }
  Rows group_k(int position) const { return groups_k_[static_cast<std::size_t>(position)]; }
  double pairs(int q_position, int k_position, bool dealt_only) const noexcept;

  const Workload& work_;
  ParallelPlan plan_;
  bool by_queries_ = false;
  double heads_ = 1, kv_heads_ = 1;  // of one rank, after the exchange
  std::vector<Rows> ranks_q_, ranks_k_, groups_q_, groups_k_;
  std::vector<std::vector<RowRun>> runs_q_, runs_k_;  // of groups; causal only
};

/// World rank of a place in the mesh.
inline int world_rank(const ParallelPlan& plan, int cfg, int position, int member) noexcept {
  return (cfg * plan.ring + position) * plan.ulysses + member;
}

/// Throws as plan_cost().
void check_cluster(const Cluster& cluster, const ParallelPlan& plan);

}  // namespace annulus

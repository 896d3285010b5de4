#include "parallel/cost.h"

#include <gtest/gtest.h>

#include <mutex>

#include "parallel/attend_laws.h"

namespace annulus {
namespace {

Workload some_work() {
  return {.batch = 2,
          .heads = 24,
          .kv_heads = 8,
          .head_dim = 128,
          .unit = 2,
          .keys = {.segments = {{.rows = 4096}, {.rows = 512}}}};
}

Cluster one_host(int ranks) {
  return {.hosts = 1, .ranks_per_host = ranks, .in_place = false};
}

TEST(Cost, BytesOfAPlanAreThoseOfTheContract) {
  const Workload work = some_work();
  for (const int ring : {1, 2, 4, 8})
    for (const int ulysses : {1, 2, 4, 8}) {
      const double seq = 4096 + 512, r = ring, u = ulysses;
      const double by_ring = 2 * (r - 1) / r * 2 * seq * 8 / u * 128 * 2;
      const double by_ulysses = (u - 1) / (u * u) * 2 * seq / r * (2 * 24 + 2 * 8) * 128 * 2;
      const PlanCost cost = plan_cost(work, one_host(64), {.ulysses = ulysses, .ring = ring});
      EXPECT_NEAR(cost.sent_bytes, by_ring + by_ulysses, 1) << ring << " x " << ulysses;
    }
}

TEST(Cost, SharesReadInPlaceAreNotSent) {
  Cluster cluster = one_host(4);
  cluster.in_place = true;
  const PlanCost cost = plan_cost(some_work(), cluster, {.ring = 4});
  EXPECT_EQ(cost.sent_bytes, 0);
  EXPECT_EQ(cost.exposed_seconds, 0);  // but for the word that it is there
  EXPECT_EQ(cost.read_bytes, 3.0 / 4 * 2 * 2 * (4096 + 512) * 8 * 128 * 2);
}

TEST(Cost, AHopCostsTheLargerOfArithmeticAndTransfer) {
  Workload work = some_work();
  Cluster cluster = one_host(4);
  const PlanCost fast = plan_cost(work, cluster, {.ring = 4});
  cluster.inside = {.latency_seconds = 0, .bytes_per_second = 1e30};
  const PlanCost free = plan_cost(work, cluster, {.ring = 4});
  EXPECT_EQ(free.exposed_seconds, 0);
  EXPECT_EQ(free.compute_seconds, fast.compute_seconds);
  const double shard = 2.0 * 2 * (4096 + 512) / 4 * 8 * 128 * 2;
  const double hop = free.compute_seconds / 4;  // all but packing
  cluster.inside.bytes_per_second = shard / (3 * hop);
  const PlanCost slow = plan_cost(work, cluster, {.ring = 4});
  EXPECT_NEAR(slow.exposed_seconds, 3 * 2 * hop, 0.05 * hop);
  EXPECT_NEAR(slow.hidden_seconds, 3 * hop, 0.05 * hop);
}

TEST(Cost, CausalZigZagHalvesTheArithmeticAndRunsDoNot) {
  Workload work = some_work();
  work.keys = {.segments = {{.rows = 4096}}};
  const double full = plan_cost(work, one_host(8), {.ring = 8}).compute_seconds;
  work.causal = Causal::BottomRight;
  const double runs = plan_cost(work, one_host(8), {.ring = 8}).compute_seconds;
  work.keys.deal = Deal::ZigZag;
  const double zigzag = plan_cost(work, one_host(8), {.ring = 8}).compute_seconds;
  EXPECT_NEAR(zigzag / full, 0.5, 0.02);
  EXPECT_NEAR(runs / full, 0.95, 0.05);  // the last rank sees all but half a block
}

TEST(Cost, QueriesTravelWhereThatMovesLess) {
  Workload work = some_work();
  work.queries = Sequence{.segments = {{.rows = 64}}};
  const PlanCost cost = plan_cost(work, one_host(4), {.ring = 4});
  EXPECT_TRUE(cost.by_queries);
  const double rows = 64.0 / 4 * 2 * 24;
  EXPECT_NEAR(cost.sent_bytes, 3 * rows * (128 * 2 + 129 * 4), 1);
}

TEST(Cost, SlowWaysBetweenHostsAreLeftToTheRing) {
  Workload work = some_work();
  work.keys = {.segments = {{.rows = 16384}}};
  const Cluster cluster{.hosts = 4,
                        .ranks_per_host = 4,
                        .inside = {.latency_seconds = 1e-6, .bytes_per_second = 100e9},
                        .between = {.latency_seconds = 1e-5, .bytes_per_second = 4e9},
                        .in_place = false,
                        .attention_flop_per_second = 5e13,
                        .copy_bytes_per_second = 1e12};
  const std::vector<PlanCost> costs = compare_plans(work, cluster, 16);
  EXPECT_EQ(costs.front().plan, (ParallelPlan{.ulysses = 4, .ring = 4}))
      << to_string(costs.front().plan);
  EXPECT_NE(reason_for(costs).find("cfg 1 x ring 4 x ulysses 4"), std::string::npos);
  EXPECT_LE(costs[0].seconds, costs[1].seconds);
}

TEST(Cost, BranchesOnRanksOfTheirOwnBeatLongerRings) {
  Workload work = some_work();
  work.branches = 2;
  work.layers = 3;
  const std::vector<PlanCost> costs = compare_plans(work, one_host(2), 2);
  ASSERT_EQ(costs.size(), 3u);
  EXPECT_EQ(costs.front().plan.cfg, 2);
}

TEST(Cost, WhatCannotRunIsRefusedByName) {
  const auto refusal = [](const Workload& work, const Cluster& cluster, const ParallelPlan& plan) {
    try {
      plan_cost(work, cluster, plan);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidRequest);
      return std::string(error.what());
    }
    return std::string("no refusal");
  };
  const Workload work = some_work();
  EXPECT_NE(refusal(work, one_host(3), {.ring = 4}).find("room for 4 ranks"), std::string::npos);
  EXPECT_NE(refusal(work, one_host(5), {.ulysses = 5}).find("divides the 24 heads"),
            std::string::npos);
  EXPECT_NE(refusal(work, one_host(2), {.cfg = 2}).find("at most 1 for cfg"), std::string::npos);
  Cluster cluster = one_host(2);
  cluster.inside.bytes_per_second = 0;
  EXPECT_NE(refusal(work, cluster, {}).find("bandwidth inside hosts"), std::string::npos);
  Workload large = work;
  large.keys.segments[0].rows = std::int64_t{1} << 40;
  EXPECT_NE(refusal(large, one_host(2), {}).find("at most 1073741824 rows"), std::string::npos);
}

// Computes nothing and needs no scratch memory: what is left is what attend() itself takes.
class Idle final : public AttentionBackend {
 public:
  std::string_view name() const noexcept override { return "idle"; }
  std::optional<std::string> refusal(const AttentionSpec&) const override { return std::nullopt; }
  void run(Stream&, Workspace&, const AttentionArgs&, Tensor&, Tensor*) const override {}
  void fold(Stream&, Workspace&, const AttentionArgs&, RunningAttention&) const override {}
};

// Bytes that the device had handed out at the worst moment of attend(), on the rank with most.
double measured_peak(const Workload& work, const ParallelPlan& plan) {
  std::mutex mutex;
  std::size_t most = 0;
  run_local_ranks(
      plan.ranks(), {.shared_memory = false, .deadline_ms = 60000}, [&](Communicator& world) {
        LawRank rank(world, plan);
        const Lane lane = rank.lane();
        const Sequence& q_rows = work.q_sequence();
        const auto make = [&](const Sequence& sequence, std::int64_t heads) {
          const std::int64_t rows =
              rows_of(runs_of(sequence, plan.ranks(), lane.mesh.sequence().rank()));
          Tensor x = Tensor::empty({work.batch, rows, heads, work.head_dim},
                                   work.unit == 4 ? DType::F32 : DType::BF16, rank.device());
          rank.device().fill(rank.stream(), x, 0.5);
          return x;
        };
        const Tensor q = make(q_rows, work.heads), k = make(work.keys, work.kv_heads),
                     v = make(work.keys, work.kv_heads);
        AttentionChoice choice;
        const Idle idle;
        choice.backend = &idle;
        for (int layer = 0; layer < 2; ++layer)
          attend(lane, choice,
                 {.q = q,
                  .k = k,
                  .v = v,
                  .sequence = &work.keys,
                  .queries = work.queries ? &*work.queries : nullptr});
        const std::lock_guard lock(mutex);
        most = std::max(most, rank.device().memory().peak);
      });
  return static_cast<double>(most);
}

TEST(Cost, MemoryOfAttentionIsTheAllocatorsPeak) {
  Workload work{.batch = 1,
                .heads = 8,
                .kv_heads = 8,
                .head_dim = 64,
                .unit = 4,
                .keys = {.segments = {{.rows = 1500}, {.rows = 111}}}};
  const auto expect_peak = [&](const ParallelPlan& plan) {
    const double measured = measured_peak(work, plan);
    const double predicted = plan_cost(work, one_host(8), plan).attention_bytes;
    EXPECT_GE(measured, 0.99 * predicted) << to_string(plan);
    EXPECT_LE(measured, 1.10 * predicted) << to_string(plan);  // blocks that the pool uses again
  };
  for (const auto& [ring, ulysses] :
       {std::pair{1, 1}, {2, 1}, {4, 1}, {8, 1}, {1, 2}, {2, 2}, {2, 4}})
    expect_peak({.ulysses = ulysses, .ring = ring});
  work.kv_heads = 2;
  work.keys.segments[1].replicated = true;
  for (const auto& [ring, ulysses] : {std::pair{3, 1}, {2, 2}, {1, 4}})
    expect_peak({.ulysses = ulysses, .ring = ring});
  work.queries = Sequence{.segments = {{.rows = 300}}};
  work.kv_heads = 8;
  for (const int ring : {2, 4}) expect_peak({.ring = ring});
}

// "K/V memory per rank is two shards, not the whole sequence."
TEST(Cost, MemoryForTravellingKeysIsTwoShardsHoweverManyRanks) {
  const Workload work{.batch = 1,
                      .heads = 8,
                      .kv_heads = 8,
                      .head_dim = 64,
                      .unit = 4,
                      .keys = {.segments = {{.rows = 1600}}}};
  const double row = 8 * 64 * 4;
  for (const int ring : {2, 4, 8}) {
    const double rows = 1600.0 / ring;
    // q, k, v, out, and the running result in f32 with its maximum and sum.
    const double others = rows * (5 * row + 2 * 8 * 4);
    const double kv = measured_peak(work, {.ring = ring}) - others;
    const double two_shards = 2 * 2 * rows * row;
    EXPECT_EQ(plan_cost(work, one_host(8), {.ring = ring}).kv_bytes, two_shards);
    EXPECT_NEAR(kv, two_shards, 0.01 * two_shards);
  }
}

}  // namespace
}  // namespace annulus

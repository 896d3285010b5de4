#include "parallel/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace annulus {
namespace {

Workload some_work(std::int64_t rows) {
  return {.heads = 24,
          .kv_heads = 24,
          .head_dim = 128,
          .keys = {.segments = {{.rows = rows}}},
          .layers = 60,
          .branches = 2,
          .row_flop = 24.0 * 3072 * 3072,
          .row_result = 256};
}

Cluster some_cluster(int hosts, int ranks_per_host) {
  return {.hosts = hosts,
          .ranks_per_host = ranks_per_host,
          .inside = {.latency_seconds = 2e-6, .bytes_per_second = 20e9},
          .between = {.latency_seconds = 2e-5, .bytes_per_second = 10e9},
          .attention_flop_per_second = 2e12,
          .linear_flop_per_second = 3e12};
}

TEST(Simulate, EvenShardsOnEvenRanksTakeWhatTheModelSays) {
  for (const bool in_place : {false, true})
    for (const int hosts : {1, 4})
      for (const double bandwidth : {1e9, 1e11})
        for (const ParallelPlan& plan : possible_plans(some_work(16384), hosts * 4)) {
          Cluster cluster = some_cluster(hosts, 4);
          cluster.in_place = in_place;
          cluster.between.bytes_per_second = bandwidth;
          if (16384 % (plan.ring * plan.ulysses) != 0) continue;
          if (plan.ulysses != 1 && plan.ulysses % 4 != 0 && 4 % plan.ulysses != 0)
            continue;  // groups that straddle hosts: the model says so
          const PlanCost model = plan_cost(some_work(16384), cluster, plan);
          const Simulated played = simulate(some_work(16384), cluster, plan);
          EXPECT_NEAR(played.seconds, model.seconds, 0.05 * model.seconds)
              << to_string(plan) << " on " << hosts << " hosts, in place " << in_place << ", "
              << bandwidth;
          EXPECT_NEAR(played.compute_seconds, model.compute_seconds, 1e-6 * model.seconds);
        }
}

TEST(Simulate, OneSlowRankHoldsUpTheWholeRing) {
  Cluster cluster = some_cluster(2, 4);
  const Workload work = some_work(8192);
  const double even = simulate(work, cluster, {.ring = 8}).seconds;
  cluster.stragglers = {{.rank = 5, .slowdown = 2}};
  const Simulated held = simulate(work, cluster, {.ring = 8});
  EXPECT_GT(held.seconds, 1.8 * even);
  EXPECT_LT(held.seconds, 2.1 * even);
  EXPECT_GT(held.most_waiting_seconds, 0.4 * held.seconds);
}

TEST(Simulate, WhatARankSendsIsCounted) {
  Cluster cluster = some_cluster(1, 4);
  cluster.in_place = false;
  const Workload work = some_work(4096);
  const ParallelPlan plan{.ring = 4};
  EXPECT_NEAR(simulate(work, cluster, plan).sent_bytes,
              4 * plan_cost(work, cluster, plan).sent_bytes, 1);
}

TEST(Simulate, FewerRowsThanRanksArePlayed) {
  const Simulated played = simulate(some_work(5), some_cluster(4, 4), {.ring = 16});
  EXPECT_GT(played.seconds, 0);
}

TEST(Simulate, AThousandRanksArePlayed) {
  Workload work = some_work(1 << 18);
  const Simulated played = simulate(work, some_cluster(128, 8), {.ring = 1024});
  EXPECT_EQ(played.events, 2u * 1024 * 1024);
  const PlanCost model = plan_cost(work, some_cluster(128, 8), {.ring = 1024});
  EXPECT_NEAR(played.seconds, model.seconds, 0.05 * model.seconds);
}

TEST(Simulate, WhatCannotRunIsRefused) {
  EXPECT_THROW(simulate(some_work(100), some_cluster(1, 2), {.ring = 4}), Error);
  EXPECT_THROW(simulate(some_work(100), some_cluster(1, 8), {.ulysses = 5}), Error);
}

}  // namespace
}  // namespace annulus

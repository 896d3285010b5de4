#include <algorithm>

#include "apps/cli/plan.h"

namespace annulus::cli {

namespace {

constexpr std::int64_t kMostHops = std::int64_t{1} << 25;  // played for one table: a few seconds

std::int64_t hops_of(const ParallelPlan& plan) {
  return std::int64_t{plan.ranks()} * plan.ring;
}

}  // namespace

std::vector<PlanRow> plan_rows(const Workload& work, const Cluster& cluster, int ranks,
                               bool simulated) {
  std::vector<PlanRow> rows;
  std::int64_t played = 0;
  for (const PlanCost& cost : compare_plans(work, cluster, ranks)) {
    rows.push_back({cost, std::nullopt});
    played += hops_of(cost.plan);
    // The best ones by the model; one always.
    if (simulated && (played <= kMostHops || rows.size() == 1))
      rows.back().played = simulate(work, cluster, cost.plan);
  }
  if (simulated)
    std::stable_sort(rows.begin(), rows.end(), [](const PlanRow& a, const PlanRow& b) {
      if (a.played.has_value() != b.played.has_value()) return a.played.has_value();
      return a.seconds() < b.seconds();
    });
  return rows;
}

std::vector<ScalingPoint> scaling(const Workload& work, const Cluster& cluster, int ranks,
                                  bool simulated) {
  std::vector<ScalingPoint> points;
  std::vector<int> counts;
  for (int count = 1; count < ranks; count *= 2) counts.push_back(count);
  counts.push_back(ranks);
  for (const int count : counts) {
    const std::vector<PlanCost> costs = compare_plans(work, cluster, count);
    ScalingPoint point{.ranks = count, .best = {costs.front(), std::nullopt}};
    if (simulated && hops_of(costs.front().plan) <= kMostHops)
      point.best.played = simulate(work, cluster, costs.front().plan);
    for (const PlanCost& cost : costs) {
      if (cost.plan.cfg > 1) continue;
      if (cost.plan.ring == count) point.ring_seconds = cost.seconds;
      if (cost.plan.ulysses == count) point.ulysses_seconds = cost.seconds;
    }
    points.push_back(point);
  }
  return points;
}

}  // namespace annulus::cli

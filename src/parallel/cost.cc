#include "parallel/cost.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "parallel/work_shares.h"

namespace annulus {

namespace {

// Where the ranks of a plan meet on hosts, for groups that begin at a host's first rank.
struct Neighbours {
  int members;    // of a Ulysses group on one host
  int positions;  // of a ring on one host
  int crossing;   // rings that leave a host at one place
  Neighbours(const Cluster& cluster, const ParallelPlan& plan)
      : members(std::min(plan.ulysses, cluster.ranks_per_host)),
        positions(std::clamp(cluster.ranks_per_host / plan.ulysses, 1, plan.ring)),
        crossing(members) {}
};

// Every rank of a group sends `bytes` to each of `inside` ranks of its host and `outside` others.
double exchange_seconds(const Cluster& cluster, double bytes, int inside, int outside) {
  double seconds = 0;
  if (inside > 0)
    seconds = cluster.inside.latency_seconds + inside * bytes / cluster.inside.bytes_per_second;
  if (outside > 0) {
    const double leaving = bytes * outside * cluster.ranks_per_host;
    seconds = std::max(
        seconds, cluster.between.latency_seconds + leaving / cluster.between.bytes_per_second);
  }
  return seconds;
}

struct LayerCost {
  double compute = 0, exposed = 0, hidden = 0, sent = 0, read = 0;
};

double largest_flop(const WorkShares& shares, bool causal, int hop) {
  double most = 0;
  for (int position = 0; position < shares.ring(); ++position) {
    most =
        std::max(most, shares.hop_flop(position, (position - hop + shares.ring()) % shares.ring()));
    if (!causal && position > 0) break;  // the first ranks hold the largest shares
  }
  return most;
}

void add_ring(const Workload& work, const Cluster& cluster, const ParallelPlan& plan,
              const WorkShares& shares, double slowdown, LayerCost& layer) {
  const Neighbours near(cluster, plan);
  const int size = plan.ring;
  const double bytes = shares.message_bytes(0);
  const bool one_host = near.positions >= size;
  const bool causal = work.causal != Causal::No;
  double later_hops = -1;
  for (int hop = 0; hop < size; ++hop) {
    if (hop < 2 || causal) later_hops = largest_flop(shares, causal, hop);
    const double compute = later_hops * slowdown / cluster.attention_flop_per_second;
    layer.compute += compute;
    if (hop + 1 == size || bytes == 0) continue;
    // A shard goes on to the next rank, unless that one reads it where it lies.
    const bool inside = near.positions > 1 && (!cluster.in_place || (!one_host && hop > 0));
    const bool between = !one_host && (!cluster.in_place || hop < size - near.positions);
    double travels = 0, busy = 0;
    const auto send = [&](const Link& link, int together) {
      const double seconds = link.latency_seconds + together * bytes / link.bytes_per_second;
      travels = std::max(travels, seconds);
      busy = std::max(busy, link.busy * seconds);
    };
    if (inside) send(cluster.inside, 1);
    if (between) send(cluster.between, near.crossing);
    const double waits = std::max(compute + busy, travels) - compute;
    layer.exposed += waits;
    layer.hidden += travels - std::min(travels, waits);
    if (inside || between) layer.sent += bytes;
  }
  if (cluster.in_place && near.positions > 1 && bytes > 0) {
    layer.read += (near.positions - 1) * bytes;
    if (one_host) layer.exposed += cluster.inside.latency_seconds;  // "my shard is there"
  }
  if (shares.by_queries()) {
    const double part = shares.part_bytes(0);
    layer.exposed += exchange_seconds(cluster, part, near.positions - 1, size - near.positions);
    layer.sent += (size - 1) * part;
    layer.compute += 3 * (size - 1) * part / cluster.copy_bytes_per_second;  // merged
  }
}

LayerCost layer_cost(const Workload& work, const Cluster& cluster, const ParallelPlan& plan,
                     const WorkShares& shares) {
  double slowdown = 1;
  for (const Straggler& slow : cluster.stragglers)
    if (slow.rank < plan.ranks()) slowdown = std::max(slowdown, slow.slowdown);
  LayerCost layer;
  layer.compute =
      slowdown *
      ((static_cast<double>(work.batch) * work.row_flop * shares.rank_rows(0) + work.layer_flop) /
           cluster.linear_flop_per_second +
       shares.copied_bytes(0) / cluster.copy_bytes_per_second);
  if (plan.ulysses > 1) {
    const Neighbours near(cluster, plan);
    for (const double bytes : {shares.to_heads_bytes(0), shares.to_rows_bytes(0)}) {
      layer.exposed +=
          exchange_seconds(cluster, bytes, near.members - 1, plan.ulysses - near.members);
      layer.sent += (plan.ulysses - 1) * bytes;
    }
  }
  add_ring(work, cluster, plan, shares, slowdown, layer);
  return layer;
}

std::string in_units(double seconds) {
  std::ostringstream text;
  text.precision(3);
  if (seconds < 1e-3)
    text << seconds * 1e6 << " us";
  else if (seconds < 1)
    text << seconds * 1e3 << " ms";
  else
    text << seconds << " s";
  return text.str();
}

}  // namespace

PlanCost plan_cost(const Workload& work, const Cluster& cluster, const ParallelPlan& plan) {
  check_cluster(cluster, plan);
  const WorkShares shares(work, plan);
  const LayerCost layer = layer_cost(work, cluster, plan, shares);
  const double passes = static_cast<double>(work.layers) * work.branches / plan.cfg;
  PlanCost cost{.plan = plan,
                .compute_seconds = passes * layer.compute,
                .exposed_seconds = passes * layer.exposed,
                .hidden_seconds = passes * layer.hidden,
                .sent_bytes = passes * layer.sent,
                .read_bytes = passes * layer.read,
                .kv_bytes = shares.kv_memory(),
                .attention_bytes = shares.attention_memory()};
  const double rows = static_cast<double>(work.batch) * shares.rank_rows(0);
  if (plan.cfg > 1) {  // each branch's result to the other's ranks
    const bool one_host = plan.ranks() <= cluster.ranks_per_host;
    const double bytes = rows * work.row_result;
    cost.exposed_seconds += exchange_seconds(cluster, bytes, one_host ? 1 : 0, one_host ? 0 : 1);
    cost.sent_bytes += bytes;
  }
  cost.seconds = cost.compute_seconds + cost.exposed_seconds;
  cost.run_seconds = cost.seconds * work.steps;
  cost.rank_bytes =
      std::max(cost.attention_bytes + rows * work.row_bytes, rows * work.row_bytes_elsewhere);
  cost.by_queries = shares.by_queries();
  return cost;
}

std::vector<ParallelPlan> possible_plans(const Workload& work, int ranks) {
  std::vector<ParallelPlan> plans;
  for (int cfg = 1; cfg <= work.branches; ++cfg)
    for (const int ulysses : ulysses_degrees(work.heads, ranks))
      if (ranks % (cfg * ulysses) == 0)
        plans.push_back({.cfg = cfg, .ulysses = ulysses, .ring = ranks / (cfg * ulysses)});
  return plans;
}

void sort_by_cost(std::vector<PlanCost>& costs) {
  const auto groups = [](const ParallelPlan& plan) {
    return (plan.cfg > 1 ? 1 : 0) + (plan.ring > 1 ? 1 : 0) + (plan.ulysses > 1 ? 1 : 0);
  };
  std::stable_sort(costs.begin(), costs.end(),
                   [](const PlanCost& a, const PlanCost& b) { return a.seconds < b.seconds; });
  if (costs.empty()) return;
  const double close = costs.front().seconds * 1.001;
  const auto end = std::find_if(costs.begin(), costs.end(),
                                [&](const PlanCost& cost) { return cost.seconds > close; });
  std::stable_sort(costs.begin(), end, [&](const PlanCost& a, const PlanCost& b) {
    if (a.rank_bytes != b.rank_bytes) return a.rank_bytes < b.rank_bytes;
    return groups(a.plan) < groups(b.plan);
  });
}

std::vector<PlanCost> compare_plans(const Workload& work, const Cluster& cluster, int ranks) {
  std::vector<PlanCost> costs;
  for (const ParallelPlan& plan : possible_plans(work, ranks))
    costs.push_back(plan_cost(work, cluster, plan));
  sort_by_cost(costs);
  return costs;
}

std::string reason_for(const std::vector<PlanCost>& costs) {
  require(!costs.empty(), ErrorCode::InvalidRequest, "plans: wanted at least one");
  const PlanCost& best = costs.front();
  std::ostringstream text;
  text << to_string(best.plan) << ": " << in_units(best.seconds) << " a step";
  if (best.exposed_seconds > 0.001 * best.seconds)
    text << ", " << std::lround(100 * best.exposed_seconds / best.seconds)
         << " % of it waiting for messages";
  else if (best.plan.ranks() > 1)
    text << ", messages all but hidden behind arithmetic";
  if (costs.size() == 1) {
    text << "; the only plan of " << best.plan.ranks()
         << (best.plan.ranks() == 1 ? " rank" : " ranks") << " that this model can run";
    return text.str();
  }
  const PlanCost& next = costs[1];
  text << "; next is " << to_string(next.plan) << " with " << in_units(next.seconds);
  const double more = next.exposed_seconds - best.exposed_seconds;
  if (next.seconds <= best.seconds * 1.001)
    text << ", as fast, but "
         << (next.rank_bytes > best.rank_bytes ? "in more memory" : "no better otherwise");
  else if (more > 0.5 * (next.seconds - best.seconds))
    text << ": it waits " << in_units(more) << " longer for messages";
  else
    text << ": it computes " << in_units(next.compute_seconds - best.compute_seconds) << " longer";
  return text.str();
}

}  // namespace annulus

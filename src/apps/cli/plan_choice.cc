#include "apps/cli/plan_choice.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "apps/cli/plan.h"
#include "apps/cli/rank_options.h"

namespace annulus::cli {

namespace {

// Orders of magnitude; what decides is whether messages are needed at all, and how many.
constexpr Link kInside{.latency_seconds = 1e-5, .bytes_per_second = 5e9},
    kBetween{.latency_seconds = 5e-5, .bytes_per_second = 1e9};
constexpr double kFlopPerSecond = 2e11, kCopied = 1e10;

// Ranks by hosts as the model takes them: as many on each, in order. Other layouts count as ranks
// that each have a host of their own, which no plan can be worse off than.
Cluster cluster_of(const GenerateOptions& options, const std::vector<int>& hosts) {
  const int ranks = static_cast<int>(hosts.size());
  const int first = static_cast<int>(std::count(hosts.begin(), hosts.end(), hosts.front()));
  bool even = ranks % first == 0;
  for (int rank = 0; even && rank < ranks; ++rank)
    even = hosts[static_cast<std::size_t>(rank)] ==
           hosts[static_cast<std::size_t>(rank / first * first)];
  const int per_host = even ? first : 1;
  return {.hosts = ranks / per_host,
          .ranks_per_host = per_host,
          .inside = kInside,
          .between = kBetween,
          .in_place = options.shared_memory,
          .attention_flop_per_second = kFlopPerSecond,
          .linear_flop_per_second = kFlopPerSecond,
          .copy_bytes_per_second = kCopied};
}

}  // namespace

std::vector<int> hosts_of(Communicator& world) {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  const std::string own = name;
  std::map<std::string, int> known;
  std::vector<int> hosts;
  for (const auto& host : world.all_gather(std::as_bytes(std::span(own.data(), own.size())))) {
    const std::string text(reinterpret_cast<const char*>(host.data()), host.size());
    hosts.push_back(known.try_emplace(text, static_cast<int>(known.size())).first->second);
  }
  return hosts;
}

PlanChoice choose_plan(const GenerateOptions& options, const std::vector<int>& hosts) {
  const int ranks = static_cast<int>(hosts.size());
  const PlanRequest given = plan_request(options);
  const ParallelPlan usual = plan_for(options, ranks);
  if (given.ring || given.ulysses || given.cfg || ranks == 1 || ranks > kMostRanks)
    return {usual, ""};
  PlanOptions work;
  work.model = options.model;
  if (options.width && options.height) work.width = options.width, work.height = options.height;
  if (options.true_cfg_scale) work.true_cfg_scale = *options.true_cfg_scale;
  work.dtype = options.dtype;
  try {
    const std::unique_ptr<Platform> platform = make_platform(options.platform, {.threads = 1});
    const std::vector<PlanCost> costs =
        compare_plans(planned_work(work, *platform).work, cluster_of(options, hosts), ranks);
    return {costs.front().plan, reason_for(costs)};
  } catch (const Error&) {
    // A model that the cost model does not know, or a mistake that its loading will name better.
    return {usual, ""};
  }
}

}  // namespace annulus::cli

#include "apps/cli/rank_options.h"

#include "base/error.h"

namespace annulus::cli {

PlanRequest plan_request(const GenerateOptions& options) {
  return {.ranks = options.ranks,
          .ring = options.ring_degree,
          .ulysses = options.ulysses_degree,
          .cfg = options.cfg_parallel};
}

ParallelPlan plan_for(const GenerateOptions& options, int ranks) {
  PlanRequest request = plan_request(options);
  require(!request.ranks || *request.ranks == ranks, ErrorCode::InvalidRequest,
          "--ranks: wanted the number of ranks that were started, ", ranks, ", found ",
          request.ranks.value_or(0));
  const bool free = !request.ring && !request.ulysses && !request.cfg;
  request.ranks = ranks;
  // Guidance is the default of the models that have it.
  if (free) request.cfg = ranks % 2 == 0 && options.true_cfg_scale.value_or(2) > 1;
  return resolve_plan(request);
}

CommOptions comm_options(const GenerateOptions& options) {
  constexpr double kMsPerSecond = 1000;
  return {.shared_memory = options.shared_memory,
          .deadline_ms = static_cast<int>(options.rank_deadline * kMsPerSecond)};
}

}  // namespace annulus::cli

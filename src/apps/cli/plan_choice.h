#pragma once

#include <string>

#include "apps/cli/generate_options.h"
#include "comm/communicator.h"
#include "parallel/plan.h"

namespace annulus::cli {

struct PlanChoice {
  ParallelPlan plan;
  std::string why;  // "" where the user gave degrees
};

/// On which host each rank of `world` is: numbers from 0, by rank. Collective.
std::vector<int> hosts_of(Communicator& world);

/// The plan for as many ranks as there are `hosts`: the degrees that were given or, where none was,
/// what the cost model prefers. Nothing is measured for it (that takes seconds, and ranks must
/// agree): it reckons with the rates of an ordinary core and network. Throws InvalidRequest.
PlanChoice choose_plan(const GenerateOptions& options, const std::vector<int>& hosts);

}  // namespace annulus::cli

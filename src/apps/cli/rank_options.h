#pragma once

#include "apps/cli/generate_options.h"
#include "comm/communicator.h"
#include "parallel/plan.h"

namespace annulus::cli {

/// The degrees that were given.
PlanRequest plan_request(const GenerateOptions& options);

/// The plan for `ranks` ranks that are there. Where no degree was given: the passes of guidance
/// apart when the ranks are even and the prompt is guided, the rest as a ring. Throws
/// InvalidRequest.
ParallelPlan plan_for(const GenerateOptions& options, int ranks);

CommOptions comm_options(const GenerateOptions& options);

}  // namespace annulus::cli

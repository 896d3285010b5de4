#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/generate_options.h"
#include "apps/cli/overlay.h"

namespace annulus::cli {

/// One picture to make.
struct Job {
  GenerateOptions options;  // of its line
  std::string prompt;
  std::uint64_t seed = 0;
  bool seed_given = false;
  int index = 0;  // among all of the run
};

/// One job per prompt and count, in the order of the arguments, the prompt file, the batch file. A
/// batch line's values win over `base`. Throws InvalidRequest (file and line named), also when
/// there is nothing to draw.
std::vector<Job> plan_jobs(const GenerateOptions& base);

}  // namespace annulus::cli

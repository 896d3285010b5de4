#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/generate_options.h"
#include "apps/cli/overlay.h"
#include "base/error.h"

namespace annulus::cli {

/// One picture to make.
struct Job {
  GenerateOptions options;  // of its line
  std::string prompt;
  std::uint64_t seed = 0;
  bool seed_given = false;
  int index = 0;           // among all of the run
  std::string where = {};  // "batch.jsonl:2"; empty: the command line
};

/// What f returns. An error that it throws says in which line of a batch it was, if in one.
template <class F>
decltype(auto) at_line(const std::string& where, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    if (where.empty() || std::string_view(error.what()).find(where) != std::string_view::npos)
      throw;
    throw Error(error.code(), text_of(error.what(), " (", where, ")"), error.hint());
  }
}

/// One job per prompt and count, in the order of the arguments, the prompt file, the batch file. A
/// batch line's values win over `base`. Throws InvalidRequest (file and line named), also when
/// there is nothing to draw.
std::vector<Job> plan_jobs(const GenerateOptions& base);

}  // namespace annulus::cli

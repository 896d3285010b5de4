#pragma once

#include <functional>

namespace annulus::cli {

struct Timing {
  double median = 0, least = 0;  // seconds of one run
  int runs = 0;
};

/// Runs `work` once to warm up, then until `seconds` have passed, at least three times and at most
/// a thousand.
Timing time_runs(double seconds, const std::function<void()>& work);

}  // namespace annulus::cli

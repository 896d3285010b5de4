#include "apps/cli/timing.h"

#include <algorithm>
#include <chrono>
#include <vector>

namespace annulus::cli {

Timing time_runs(double seconds, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kLeastRuns = 3, kMostRuns = 1000;
  work();
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  double spent = 0;
  while (times.size() < kLeastRuns || (spent < seconds && times.size() < kMostRuns)) {
    const Clock::time_point start = Clock::now();
    work();
    const Clock::time_point end = Clock::now();
    times.push_back(std::chrono::duration<double>(end - start).count());
    spent = std::chrono::duration<double>(end - begin).count();
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), static_cast<int>(times.size())};
}

}  // namespace annulus::cli

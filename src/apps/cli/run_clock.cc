#include "apps/cli/run_clock.h"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <limits>
#include <string>

namespace annulus::cli {

double seconds_since_process_start() {
  // /proc/self/stat, field 22: start time in clock ticks after boot. The name in field 2 may hold
  // spaces, so count from its ')'.
  std::ifstream stat("/proc/self/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  std::string field;
  constexpr int kFieldsAfterName = 20;
  for (int i = 0; i < kFieldsAfterName; ++i) stat >> field;
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  if (!stat || field.empty()) return 0;
  const double started = std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - started;
}

std::size_t peak_resident_bytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace annulus::cli

#include "platform/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace annulus {

namespace {

// The number that a control file holds; nothing for "max", nonsense or no such file.
std::optional<std::size_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::size_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

// The number after `name` in a file of lines "name value".
std::optional<std::size_t> number_after(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  std::size_t value = 0;
  while (file >> word) {
    if (word == name && file >> value) return value;
    file.clear();
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// Pages of files count as used in a group but can be dropped: they are free for us.
std::size_t left(const std::string& folder, const char* limit_file, const char* use_file,
                 const char* cache_name) {
  const auto limit = number_in(folder + limit_file), use = number_in(folder + use_file);
  if (!limit || !use) return std::numeric_limits<std::size_t>::max();
  const std::size_t cache = number_after(folder + "memory.stat", cache_name).value_or(0);
  const std::size_t held = *use - std::min(*use, cache);
  return *limit - std::min(*limit, held);
}

// The least room of this process's group and those above it.
std::size_t left_in_groups() {
  std::size_t least = std::numeric_limits<std::size_t>::max();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool second_version = controllers.empty();
    if (!second_version && controllers.find("memory") == std::string::npos) continue;
    const std::string root = second_version ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
      const std::string folder = root + path + "/";
      least = std::min(least, second_version
                                  ? left(folder, "memory.max", "memory.current", "inactive_file")
                                  : left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                         "total_inactive_file"));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace

std::size_t free_host_memory() noexcept {
  try {
    const std::size_t available = number_after("/proc/meminfo", "MemAvailable:").value_or(0) * 1024;
    return std::min(available, left_in_groups());
  } catch (...) {
    return 0;
  }
}

}  // namespace annulus

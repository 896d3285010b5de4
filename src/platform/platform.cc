#include "platform/platform.h"

#include <array>

#include "base/parallel_for.h"
#include "platform/ascend/ascend_platform.h"
#include "platform/cpu/cpu_platform.h"
#include "platform/reference/reference_platform.h"

namespace annulus {

namespace {

std::optional<std::string> always_there() {
  return std::nullopt;
}

constexpr std::array<PlatformEntry, 3> kPlatforms = {{
    {"ascend", true, probe_ascend, make_ascend_platform},
    {"cpu", true, probe_cpu, make_cpu_platform},
    {"reference", false, always_there, make_reference_platform},
}};

constexpr int kThreadsPerCore = 16;  // more only wait for each other, for minutes

std::string known_names() {
  std::string names;
  for (const PlatformEntry& entry : kPlatforms)
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

}  // namespace

std::span<const PlatformEntry> platforms() noexcept {
  return kPlatforms;
}

std::unique_ptr<Platform> make_platform(std::string_view name, const PlatformOptions& options) {
  const int cores = available_cores(), most = kThreadsPerCore * cores;
  require(options.threads <= most, ErrorCode::InvalidRequest, "threads: wanted at most ", most,
          " (", kThreadsPerCore, " for each of the ", cores, " cores of this process), found ",
          options.threads);
  std::string absent;
  for (const PlatformEntry& entry : kPlatforms) {
    if (name.empty() ? !entry.listed : name != entry.name) continue;
    const std::optional<std::string> reason = entry.probe();
    if (!reason) return entry.make(options);
    absent += (absent.empty() ? "" : "; ") + std::string(entry.name) + ": " + *reason;
  }
  require(!absent.empty(), ErrorCode::NotFound, "platform: wanted one of ", known_names(),
          ", found ", name);
  throw Error(
      ErrorCode::Unsupported,
      text_of("platform: wanted ", name.empty() ? "any" : name, ", found none (", absent, ")"),
      "--platform reference runs everywhere, slowly");
}

}  // namespace annulus

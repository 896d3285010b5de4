// What a build without oneDNN has in the place of platform/cpu.
#include "platform/cpu/cpu_platform.h"

namespace annulus {

std::optional<std::string> probe_cpu() {
  return "built without oneDNN";
}

std::string onednn_library() {
  return "not built in";
}

std::unique_ptr<Platform> make_cpu_platform(const PlatformOptions&) {
  throw Error(ErrorCode::Unsupported, "platform: wanted cpu, found a build without oneDNN");
}

}  // namespace annulus

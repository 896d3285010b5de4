#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/platform.h"

namespace annulus {

/// Why there is no Ascend device here; nothing when there is.
std::optional<std::string> probe_ascend();

/// Throws Unsupported or DeviceFailure with CANN's reason.
std::unique_ptr<Platform> make_ascend_platform(const PlatformOptions& options);

}  // namespace annulus

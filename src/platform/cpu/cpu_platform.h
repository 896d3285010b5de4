#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/platform.h"

namespace annulus {

/// Why the cpu platform is absent from this build; nothing when it is there.
std::optional<std::string> probe_cpu();

/// The version of oneDNN that runs here ("2.6.3"); "not built in" where there is none.
std::string onednn_library();

/// The host's cores: oneDNN for products and convolutions, own kernels for the rest. Throws
/// Unsupported where it is absent.
std::unique_ptr<Platform> make_cpu_platform(const PlatformOptions& options);

}  // namespace annulus

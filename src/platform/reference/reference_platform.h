#pragma once

#include <memory>

#include "platform/platform.h"

namespace annulus {

/// Every operation as a plain loop in double on the host: the oracle of tests and self-tests
/// (`--platform reference`).
std::unique_ptr<Platform> make_reference_platform(const PlatformOptions& options);

}  // namespace annulus

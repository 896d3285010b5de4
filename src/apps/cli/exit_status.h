#pragma once

#include <exception>
#include <iosfwd>

#include "base/error.h"

namespace annulus::cli {

/// The status of the process for an error (docs/cli.md).
int exit_status(ErrorCode code) noexcept;

/// Prints "annulus: error: ..." and at most one hint line; returns the status. Anything that is no
/// Error is a bug here: status 1.
int report_error(std::ostream& out, const std::exception& error);

}  // namespace annulus::cli

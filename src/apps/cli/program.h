#pragma once

#include <string>

#include "apps/cli/command_line.h"

namespace annulus::cli {

/// Runs the command that `arguments` begins with. Returns the exit status; throws Error.
int run_program(const Arguments& arguments);

std::string version();  // "0.1.0"

}  // namespace annulus::cli

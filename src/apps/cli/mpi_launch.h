#pragma once

#include "apps/cli/command_line.h"

namespace annulus::cli {

/// Starts `annulus ARGUMENTS...` as `ranks` ranks of this host under mpirun, and owns the run: one
/// error line whatever happened (a rank that is gone is named with the place where it was last
/// seen), SIGINT and SIGTERM passed on as a wish to stop, no process left. Returns the exit status.
/// Throws the run's error; Unsupported when there is no mpirun.
int launch_ranks(int ranks, const Arguments& arguments);

}  // namespace annulus::cli

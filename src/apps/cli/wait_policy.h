#pragma once

namespace annulus::cli {

/// Starts the program again with GOMP_SPINCOUNT=1000, unless the environment says how threads are
/// to wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT). By default a thread of libgomp that waits keeps its
/// core for 15 ms, which makes a picture ten times slower on a machine that has other work too; and
/// libgomp reads the variable once, when it is loaded. Takes a few milliseconds; returns when there
/// is nothing to do.
void limit_spinning(char** argv) noexcept;

}  // namespace annulus::cli

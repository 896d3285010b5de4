#pragma once

namespace annulus::cli {

/// From now on SIGINT and SIGTERM ask for a stop instead of ending the process; a second one of
/// them ends it at once.
void catch_interrupts();

/// The signal that asked for a stop, or 0.
int interrupted() noexcept;

}  // namespace annulus::cli

#pragma once

#include <cstddef>

namespace annulus {

/// Bytes of the host's memory that this process may still take: what /proc/meminfo says is
/// available, or less where a control group (of version 2 or 1) sets a limit. 0: unknown.
std::size_t free_host_memory() noexcept;

}  // namespace annulus

#pragma once

#include <vector>

#include "platform/platform.h"

namespace annulus {

/// What this machine's units can do at most: loops of independent multiply-adds in registers per
/// instruction set that it has, and memory read and copied. Runs about `seconds` per figure on
/// `threads` threads.
std::vector<PeakRate> measure_cpu_peaks(int threads, double seconds);

}  // namespace annulus

// Cases of the UMT5 encoder.
#pragma once

#include "comparison.h"

namespace annulus::goldens {

void run_umt5_text(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

}  // namespace annulus::goldens

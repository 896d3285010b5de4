// Cases of the Wan family.
#pragma once

#include "comparison.h"

namespace annulus::goldens {

void run_wan_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_wan_transformer(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

/// Floating-point input `name` on the device, wide.
Tensor on_device(const GoldenCase& golden, Workbench& bench, std::string_view name);

}  // namespace annulus::goldens

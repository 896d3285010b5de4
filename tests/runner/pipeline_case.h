// What the kinds "pipeline" and "pipeline_edit" share.
#pragma once

#include "comparison.h"
#include "golden_case.h"
#include "pipeline/load.h"
#include "pipeline/pipeline.h"
#include "workbench.h"

namespace annulus::goldens {

/// The platform's own choices, one dtype for every component.
LoadOptions load_options(Workbench& bench);

/// The request of a case's "args", with its start noise.
Request request_of(const GoldenCase& golden, Workbench& bench);

/// Generates and compares every tap that the case stores, and the pictures.
void compare_run(const GoldenCase& golden, Comparison& comparison, Pipeline& pipeline,
                 Request request);

/// The start noise must follow from the seed, bit for bit. The case drew one generator for the
/// whole batch.
void compare_noise(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

/// compare_run from the stored noise, compare_noise, and for one picture compare_run from the seed.
void compare_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison,
                      Pipeline& pipeline, const Request& request);

}  // namespace annulus::goldens

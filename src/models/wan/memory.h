#pragma once

#include "models/wan/stages.h"
#include "pipeline/meter.h"

namespace annulus::wan {

/// Of a completed request.
MemoryPrediction predict(const Components& components, const Request& request);

/// The same components in the meter's contexts. Weights stay where they are.
Components on_meter(const Components& components, Meter& meter);

/// What a walk over the meter found, and what a process holds beside it: `frames` frames of pixels
/// at a time.
MemoryPrediction prediction_of(const Components& components, const Meter& meter,
                               const Request& request, std::int64_t frames);

}  // namespace annulus::wan

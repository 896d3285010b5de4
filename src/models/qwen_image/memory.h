#pragma once

#include "models/qwen_image/conditions.h"

namespace annulus::qwen_image {

/// Tiles for this request's pictures, or nothing: on request, and by itself for pictures so large
/// that their activations would take more than the models. Depends on the size alone.
std::optional<Tiling> tiling_for(const Request& request);

/// Of a completed request.
MemoryPrediction predict(const Components& components, const Variant& variant,
                         const Request& request);

}  // namespace annulus::qwen_image

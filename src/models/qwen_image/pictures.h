// Pixels on their way into and out of the pipelines.
#pragma once

#include "io/image.h"
#include "models/qwen_image/completion.h"
#include "models/vaes/qwen_image/tiling.h"

namespace annulus::qwen_image {

/// Entry `entry` of decoded pixels [batch, 1, height, width, 3] in [-1, 1] as bytes, rounded as
/// diffusers does. Throws NonFinite.
Image picture_of(const HostTensor& pixels, std::int64_t entry);

/// The same in [0, 1], [height, width, 3] row-major.
std::vector<float> unit_range(const HostTensor& pixels, std::int64_t entry);

}  // namespace annulus::qwen_image

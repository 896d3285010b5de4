#pragma once

#include "models/vaes/qwen_image/config.h"

namespace annulus::qwen_image {

/// Floating-point operations of encoding a picture or video of [frames, height, width] pixels, and
/// of decoding [frames, height, width] latents, not tiled; taps that see only padding do not count.
double encode_flop(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                   std::int64_t width);
double decode_flop(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                   std::int64_t width);

}  // namespace annulus::qwen_image

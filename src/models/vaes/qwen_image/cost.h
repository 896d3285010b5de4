#pragma once

#include <cstddef>

#include "models/vaes/qwen_image/config.h"

namespace annulus::qwen_image {

/// What one call needs, from shapes alone.
struct VaeCost {
  double flop = 0;          // taps that see only padding do not count
  std::size_t peak = 0;     // bytes of activations at the worst moment, input included
  std::size_t weights = 0;  // elements of the weights that are touched
};

/// Of encoding pictures of [frames, height, width] pixels, or decoding latents of [frames, height,
/// width], one batch entry, not tiled.
///
///   element  bytes of an activation (of the context's dtype)
VaeCost encode_cost(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                    std::int64_t width, std::size_t element);
VaeCost decode_cost(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                    std::int64_t width, std::size_t element);

}  // namespace annulus::qwen_image

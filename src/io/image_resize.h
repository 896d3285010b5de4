// Resizing RGB pictures bit for bit as the reference pipelines do. Both compute the weights of a
// filter in double, widen it when shrinking (antialiasing) and round to bytes between a pass over
// columns and one over rows; they differ in how precisely the weights are stored and in which pass
// comes first. Start with `resize_like_pillow`.
#pragma once

#include <cstdint>

#include "io/image.h"

namespace annulus {

enum class ResizeFilter : std::uint8_t {
  Bilinear,  // triangle
  Bicubic,   // Keys' cubic, a = -0.5
  Lanczos    // 3 lobes
};

/// As PIL.Image.resize of an RGB image in Pillow 13: weights in 22 bits. What diffusers'
/// VaeImageProcessor does (Lanczos). Throws InvalidRequest when a side is under 1 or the picture is
/// not whole.
Image resize_like_pillow(const Image& image, int width, int height, ResizeFilter filter);

/// As torchvision's resize of a uint8 tensor on the CPU with antialias: weights in 16 bits with a
/// sign. What the image processors of transformers 5 do (Qwen2-VL: Bicubic). Lanczos is not among
/// torch's filters: InvalidRequest.
Image resize_like_torchvision(const Image& image, int width, int height, ResizeFilter filter);

}  // namespace annulus

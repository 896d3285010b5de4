#include "models/qwen_image/pictures.h"

#include <algorithm>
#include <cmath>

namespace annulus::qwen_image {

std::vector<float> unit_range(const HostTensor& pixels, std::int64_t entry) {
  const std::int64_t count = pixels.shape.elements() / pixels.shape[0];
  std::vector<float> values(pixels.values.begin() + entry * count,
                            pixels.values.begin() + (entry + 1) * count);
  for (float& x : values) {
    require(std::isfinite(x), ErrorCode::NonFinite,
            "decode: wanted finite numbers, found NaN or Inf in picture ", entry + 1);
    x = std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f);
  }
  return values;
}

Image picture_of(const HostTensor& pixels, std::int64_t entry) {
  const std::vector<float> values = unit_range(pixels, entry);
  Image image = {.width = static_cast<int>(pixels.shape[3]),
                 .height = static_cast<int>(pixels.shape[2]),
                 .pixels = std::vector<std::uint8_t>(values.size())};
  std::transform(values.begin(), values.end(), image.pixels.begin(), [](float x) {
    return static_cast<std::uint8_t>(std::nearbyint(x * 255.0f));  // halves to even, as numpy
  });
  return image;
}

}  // namespace annulus::qwen_image

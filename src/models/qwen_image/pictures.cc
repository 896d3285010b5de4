#include "models/qwen_image/pictures.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace annulus::qwen_image {

namespace {

/// [-1, 1] to [0, 1].
float in_unit_range(float x, std::int64_t entry) {
  require(std::isfinite(x), ErrorCode::NonFinite,
          "decode: wanted finite numbers, found NaN or Inf in picture ", entry + 1);
  return std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f);
}

std::span<const float> entry_of(const HostTensor& pixels, std::int64_t entry) {
  const auto count = static_cast<std::size_t>(pixels.shape.elements() / pixels.shape[0]);
  return std::span(pixels.values).subspan(static_cast<std::size_t>(entry) * count, count);
}

}  // namespace

std::vector<float> unit_range(const HostTensor& pixels, std::int64_t entry) {
  std::vector<float> values;
  for (const float x : entry_of(pixels, entry)) values.push_back(in_unit_range(x, entry));
  return values;
}

Image picture_of(const HostTensor& pixels, std::int64_t entry) {
  Image image = {.width = static_cast<int>(pixels.shape[3]),
                 .height = static_cast<int>(pixels.shape[2]),
                 .pixels = {}};
  const std::span<const float> values = entry_of(pixels, entry);
  image.pixels.reserve(values.size());
  for (const float x : values)  // halves to even, as numpy
    image.pixels.push_back(
        static_cast<std::uint8_t>(std::nearbyint(in_unit_range(x, entry) * 255.0f)));
  return image;
}

}  // namespace annulus::qwen_image

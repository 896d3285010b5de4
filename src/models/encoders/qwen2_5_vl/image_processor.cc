#include "models/encoders/qwen2_5_vl/image_processor.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"

namespace annulus::qwen2_5_vl {

namespace {

constexpr int kBicubic = 3;  // PIL's number
constexpr std::int64_t kLargestSide = 1 << 24;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

std::int64_t size_of(const Json& json, std::string_view key, std::int64_t fallback,
                     std::int64_t most) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most)
    json[key].fail(text_of("a whole number from 1 to ", most), text_of(value));
  return value;
}

std::array<double, 3> channels(const Json& json, std::string_view key,
                               const std::array<double, 3>& fallback, bool divisor) {
  const std::optional<Json> list = json.find(key);
  if (!list) return fallback;
  std::array<double, 3> values{};
  if (list->size() != 3) list->fail("three numbers");
  for (std::size_t i = 0; i < 3; ++i) {
    values[i] = list->at(i).as<double>();
    if (!std::isfinite(values[i]) || (divisor && !(values[i] > 0)))
      list->at(i).fail(divisor ? "a positive number" : "a finite number");
  }
  return values;
}

/// Fewest or most pixels: at the top level, else within `size` under the new name or the old one.
std::int64_t pixels(const Json& json, std::string_view key, std::string_view edge,
                    std::int64_t fallback) {
  if (json.find(key)) return size_of(json, key, fallback, kMostPixels);
  const std::optional<Json> size = json.find("size");
  if (!size) return fallback;
  return size_of(*size, size->find(edge) ? edge : key, fallback, kMostPixels);
}

/// What becomes of each byte of each channel. Rounded as torchvision does, which scales mean and
/// deviation instead of the picture.
std::array<std::array<float, 256>, 3> shades(const ImageProcessor& processor) {
  std::array<std::array<float, 256>, 3> shade{};
  const auto factor = static_cast<float>(processor.rescale_factor);
  const float scale = processor.do_rescale ? static_cast<float>(1 / processor.rescale_factor) : 1;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const float mean = static_cast<float>(processor.image_mean[channel]) * scale;
    const float deviation = static_cast<float>(processor.image_std[channel]) * scale;
    for (std::size_t value = 0; value < 256; ++value) {
      const auto x = static_cast<float>(value);
      shade[channel][value] = processor.do_normalize ? (x - mean) / deviation
                              : processor.do_rescale ? x * factor
                                                     : x;
    }
  }
  return shade;
}

}  // namespace

ImageProcessor read_image_processor(const Json& json) {
  if (const std::optional<Json> inner = json.find("image_processor"))  // processor_config.json
    return read_image_processor(*inner);
  ImageProcessor processor;
  processor.patch_size = size_of(json, "patch_size", processor.patch_size, 1024);
  processor.temporal_patch_size =
      size_of(json, "temporal_patch_size", processor.temporal_patch_size, 64);
  processor.merge_size = size_of(json, "merge_size", processor.merge_size, 64);
  processor.min_pixels = pixels(json, "min_pixels", "shortest_edge", processor.min_pixels);
  processor.max_pixels = pixels(json, "max_pixels", "longest_edge", processor.max_pixels);
  processor.image_mean = channels(json, "image_mean", processor.image_mean, false);
  processor.image_std = channels(json, "image_std", processor.image_std, true);
  processor.rescale_factor = json.get<double>("rescale_factor", processor.rescale_factor);
  processor.do_resize = json.get<bool>("do_resize", true);
  processor.do_rescale = json.get<bool>("do_rescale", true);
  processor.do_normalize = json.get<bool>("do_normalize", true);
  if (!(processor.rescale_factor > 0) || !std::isfinite(1 / processor.rescale_factor))
    json["rescale_factor"].fail("a positive number");
  if (json.get<int>("resample", kBicubic) != kBicubic) json["resample"].fail("3 (bicubic)");
  return processor;
}

PixelSize processed_size(const ImageProcessor& processor, PixelSize size) {
  const std::int64_t step = processor.patch_size * processor.merge_size;
  require(size.height >= 1 && size.width >= 1 && size.height <= kLargestSide &&
              size.width <= kLargestSide,
          ErrorCode::InvalidRequest, "picture: wanted sides from 1 to ", kLargestSide,
          " pixels, found ", size.width, " x ", size.height);
  if (!processor.do_resize) {
    require(size.height % step == 0 && size.width % step == 0, ErrorCode::InvalidRequest,
            "picture: wanted sides that are multiples of ", step, " pixels, found ", size.width,
            " x ", size.height);
    return size;
  }
  const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
  require(std::max(height, width) / std::min(height, width) <= 200, ErrorCode::InvalidRequest,
          "picture: wanted a longer side of at most 200 times the shorter, found ", size.width,
          " x ", size.height);
  const auto factor = static_cast<double>(step);
  const auto steps = [&](double count) { return static_cast<std::int64_t>(count) * step; };
  // Halves go to the even neighbour, as Python's round does.
  PixelSize made{steps(std::nearbyint(height / factor)), steps(std::nearbyint(width / factor))};
  if (made.height * made.width > processor.max_pixels) {
    const double shrink = std::sqrt(height * width / static_cast<double>(processor.max_pixels));
    made = {std::max(step, steps(std::floor(height / shrink / factor))),
            std::max(step, steps(std::floor(width / shrink / factor)))};
  } else if (made.height * made.width < processor.min_pixels) {
    const double grow = std::sqrt(static_cast<double>(processor.min_pixels) / (height * width));
    made = {steps(std::ceil(height * grow / factor)), steps(std::ceil(width * grow / factor))};
  }
  return made;
}

ImageGrid grid_of(const ImageProcessor& processor, PixelSize size) {
  const PixelSize seen = processed_size(processor, size);
  return {1, seen.height / processor.patch_size, seen.width / processor.patch_size};
}

void append_patches(const ImageProcessor& processor, std::span<const std::uint8_t> rgb,
                    PixelSize size, std::vector<float>& values) {
  const std::int64_t edge = processor.patch_size, merge = processor.merge_size;
  require(size.height >= 1 && size.width >= 1 && size.height % (edge * merge) == 0 &&
              size.width % (edge * merge) == 0 &&
              rgb.size() == static_cast<std::size_t>(size.height * size.width * 3),
          ErrorCode::InvalidRequest, "picture: wanted [", size.height, ", ", size.width,
          ", 3] of multiples of ", edge * merge, ", found ", rgb.size(), " values");

  const std::array<std::array<float, 256>, 3> shade = shades(processor);
  values.reserve(values.size() +
                 rgb.size() * static_cast<std::size_t>(processor.temporal_patch_size));
  const auto append_patch = [&](std::int64_t top, std::int64_t left) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::int64_t frame = 0; frame < processor.temporal_patch_size; ++frame)
        for (std::int64_t y = top; y < top + edge; ++y)
          for (std::int64_t x = left; x < left + edge; ++x)
            values.push_back(
                shade[channel][rgb[static_cast<std::size_t>((y * size.width + x) * 3) + channel]]);
  };
  const std::int64_t block = edge * merge;
  for (std::int64_t top = 0; top < size.height; top += block)
    for (std::int64_t left = 0; left < size.width; left += block)
      for (std::int64_t y = top; y < top + block; y += edge)
        for (std::int64_t x = left; x < left + block; x += edge) append_patch(y, x);
}

}  // namespace annulus::qwen2_5_vl

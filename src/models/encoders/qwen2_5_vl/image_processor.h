#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "io/json.h"
#include "models/encoders/qwen2_5_vl/image_grid.h"

namespace annulus::qwen2_5_vl {

/// How pictures become patches, under the names of preprocessor_config.json.
struct ImageProcessor {
  std::int64_t patch_size = 14, temporal_patch_size = 2, merge_size = 2;
  std::int64_t min_pixels = 56 * 56, max_pixels = 28 * 28 * 1280;
  std::array<double, 3> image_mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> image_std = {0.26862954, 0.26130258, 0.27577711};
  double rescale_factor = 1.0 / 255;
  bool do_resize = true, do_rescale = true, do_normalize = true;
};

/// Reads preprocessor_config.json, or a processor_config.json that holds it as `image_processor`.
/// Throws CorruptFile naming key and file.
ImageProcessor read_image_processor(const Json& json);

struct PixelSize {
  std::int64_t height = 0, width = 0;
  bool operator==(const PixelSize&) const = default;
};

/// The size in which the vision tower sees a picture: multiples of patch_size * merge_size, about
/// as many pixels as it has, between min_pixels and max_pixels. Throws InvalidRequest for a side
/// more than 200 times the other or, without do_resize, for another multiple. Source: smart_resize
/// of transformers' Qwen2VLImageProcessor.
PixelSize processed_size(const ImageProcessor& processor, PixelSize size);

/// The patches of a picture of that size, before processing.
ImageGrid grid_of(const ImageProcessor& processor, PixelSize size);

/// Appends the patches of a picture to `values`, [patches, 3 * temporal_patch_size * patch_size^2]:
/// normalised, the picture repeated over time, in the order of merged patches (vision_order.h).
///
///   rgb     [height, width, 3], 0 to 255
///   size    of rgb: a processed_size
///   values  updated
void append_patches(const ImageProcessor& processor, std::span<const std::uint8_t> rgb,
                    PixelSize size, std::vector<float>& values);

}  // namespace annulus::qwen2_5_vl

// Pictures to what the language model sees of them: resizing, patches, vision tower.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "io/image.h"
#include "models/encoders/qwen2_5_vl/encoder.h"
#include "models/encoders/qwen2_5_vl/image_processor.h"

namespace annulus::qwen2_5_vl {

struct ImagePatches {
  std::vector<float> values;     // [patches, values of a patch], row-major
  std::vector<ImageGrid> grids;  // one per picture
};

/// Resizes each picture to its processed_size (bicubic) and cuts it. Throws InvalidRequest for a
/// picture the processor refuses. Source: transformers Qwen2VLImageProcessor.
ImagePatches image_patches(const ImageProcessor& processor,
                           std::span<const std::shared_ptr<const Image>> images);

/// Runs the vision tower over `images` together, as the pipeline resized them. Throws CorruptFile
/// when the processor cuts other patches than the tower takes, and as image_patches and
/// encode_patches.
ImageFeatures encode_images(const Context& ctx, const Encoder& encoder,
                            const ImageProcessor& processor,
                            std::span<const std::shared_ptr<const Image>> images);

}  // namespace annulus::qwen2_5_vl

#include "models/encoders/qwen2_5_vl/images.h"

#include "base/error.h"
#include "io/image_resize.h"

namespace annulus::qwen2_5_vl {

ImagePatches image_patches(const ImageProcessor& processor,
                           std::span<const std::shared_ptr<const Image>> images) {
  ImagePatches patches;
  for (const std::shared_ptr<const Image>& image : images) {
    const PixelSize size = {image->height, image->width};
    const PixelSize seen = processed_size(processor, size);
    if (seen == size) {
      append_patches(processor, image->pixels, seen, patches.values);
    } else {
      const Image resized =
          resize_like_torchvision(*image, static_cast<int>(seen.width),
                                  static_cast<int>(seen.height), ResizeFilter::Bicubic);
      append_patches(processor, resized.pixels, seen, patches.values);
    }
    patches.grids.push_back(grid_of(processor, size));
  }
  return patches;
}

ImageFeatures encode_images(const Context& ctx, const Encoder& encoder,
                            const ImageProcessor& processor,
                            std::span<const std::shared_ptr<const Image>> images) {
  if (encoder.config.vision) {
    const VisionConfig& vision = *encoder.config.vision;
    require(processor.patch_size == vision.patch_size &&
                processor.temporal_patch_size == vision.temporal_patch_size &&
                processor.merge_size == vision.spatial_merge_size,
            ErrorCode::CorruptFile, "picture processor: wanted patches of ",
            vision.temporal_patch_size, " x ", vision.patch_size, " merged by ",
            vision.spatial_merge_size, " as in the text encoder's config, found ",
            processor.temporal_patch_size, " x ", processor.patch_size, " merged by ",
            processor.merge_size, " (preprocessor_config.json)");
  }
  ImagePatches patches = image_patches(processor, images);
  return encode_patches(ctx, encoder, patches.values, std::move(patches.grids));
}

}  // namespace annulus::qwen2_5_vl

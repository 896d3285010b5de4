#include "models/encoders/qwen2_5_vl/vision_order.h"

#include <algorithm>

#include "base/error.h"

namespace annulus::qwen2_5_vl {

namespace {

constexpr std::int64_t kMostPatches = std::int64_t{1} << 22;  // one side, and all together

/// The patches of one merged patch, its own rows first.
void add_patches(VisionOrder& order, std::int64_t merge, std::int64_t y, std::int64_t x) {
  for (std::int64_t dy = 0; dy < merge; ++dy)
    for (std::int64_t dx = 0; dx < merge; ++dx) {
      order.height.push_back(static_cast<std::int32_t>(y * merge + dy));
      order.width.push_back(static_cast<std::int32_t>(x * merge + dx));
    }
}

/// The windows of one frame whose merged patches begin at `first`.
void add_frame(VisionOrder& order, const VisionConfig& config, std::int64_t height,
               std::int64_t width, std::int64_t first) {
  const std::int64_t edge = config.window();
  for (std::int64_t top = 0; top < height; top += edge)
    for (std::int64_t left = 0; left < width; left += edge) {
      const std::int64_t bottom = std::min(top + edge, height),
                         right = std::min(left + edge, width);
      for (std::int64_t y = top; y < bottom; ++y)
        for (std::int64_t x = left; x < right; ++x) {
          order.to_windows.push_back(static_cast<std::int32_t>(first + y * width + x));
          add_patches(order, config.spatial_merge_size, y, x);
        }
      order.cu_windows.push_back(static_cast<std::int32_t>(order.height.size()));
    }
  order.cu_frames.push_back(static_cast<std::int32_t>(order.height.size()));
}

}  // namespace

VisionOrder vision_order(const VisionConfig& config, std::span<const ImageGrid> grids) {
  const std::int64_t merge = config.spatial_merge_size;
  VisionOrder order;
  order.cu_windows = order.cu_frames = {0};
  std::int64_t patches = 0;
  for (const ImageGrid& grid : grids) {
    const auto fits = [](std::int64_t side, std::int64_t step) {
      return side >= 1 && side <= kMostPatches && side % step == 0;
    };
    require(fits(grid.frames, 1) && fits(grid.height, merge) && fits(grid.width, merge) &&
                grid.height <= kMostPatches / grid.width &&
                grid.frames <= (kMostPatches - patches) / (grid.height * grid.width),
            ErrorCode::InvalidRequest, "picture: wanted sides that are multiples of ", merge,
            " patches, at most ", kMostPatches, " patches in all, found ", grid.frames, " x ",
            grid.height, " x ", grid.width);
    const std::int64_t height = grid.height / merge, width = grid.width / merge;
    for (std::int64_t frame = 0; frame < grid.frames; ++frame)
      add_frame(order, config, height, width,
                patches / config.merge_unit() + frame * height * width);
    patches += grid.patches();
  }
  order.from_windows.resize(order.to_windows.size());
  for (std::size_t i = 0; i < order.to_windows.size(); ++i)
    order.from_windows[static_cast<std::size_t>(order.to_windows[i])] =
        static_cast<std::int32_t>(i);
  return order;
}

}  // namespace annulus::qwen2_5_vl

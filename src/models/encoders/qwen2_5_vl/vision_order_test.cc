#include "models/encoders/qwen2_5_vl/vision_order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/test_folder.h"

namespace annulus::qwen2_5_vl {
namespace {

using List = std::vector<std::int32_t>;

VisionConfig config_of(std::int64_t merge, std::int64_t window) {
  VisionConfig config;
  config.spatial_merge_size = merge;
  config.window_size = window * merge * config.patch_size;
  return config;
}

TEST(Qwen25VlVisionOrder, WindowsAtTheEdgeAreSmaller) {
  // 3 x 5 merged patches in windows of 2 x 2, by hand.
  const std::vector<ImageGrid> grids = {{1, 6, 10}};
  const VisionOrder order = vision_order(config_of(2, 2), grids);
  EXPECT_EQ(order.to_windows, (List{0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(order.cu_windows, (List{0, 16, 32, 40, 48, 56, 60}));
  EXPECT_EQ(order.cu_frames, (List{0, 60}));
  EXPECT_EQ(List(order.height.begin(), order.height.begin() + 8), (List{0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(List(order.width.begin(), order.width.begin() + 8), (List{0, 1, 0, 1, 2, 3, 2, 3}));
}

TEST(Qwen25VlVisionOrder, TheInverseUndoesTheOrderAndEveryPatchOccursOnce) {
  for (const std::int64_t merge : {1, 2, 3})
    for (const std::int64_t window : {1, 2, 4}) {
      const std::vector<ImageGrid> grids = {
          {1, merge, 7 * merge}, {3, 5 * merge, 2 * merge}, {1, 4 * merge, 4 * merge}};
      const VisionOrder order = vision_order(config_of(merge, window), grids);
      for (std::size_t i = 0; i < order.to_windows.size(); ++i)
        EXPECT_EQ(order.from_windows[static_cast<std::size_t>(order.to_windows[i])],
                  static_cast<std::int32_t>(i));
      List sorted = order.to_windows;
      std::sort(sorted.begin(), sorted.end());
      for (std::size_t i = 0; i < sorted.size(); ++i)
        EXPECT_EQ(sorted[i], static_cast<std::int32_t>(i));
      EXPECT_EQ(static_cast<std::int64_t>(sorted.size()), 7 + 30 + 16);
      EXPECT_EQ(order.height.size(), sorted.size() * static_cast<std::size_t>(merge * merge));
      EXPECT_EQ(order.cu_frames.size(), 1u + 1 + 3 + 1);
      EXPECT_TRUE(std::adjacent_find(order.cu_windows.begin(), order.cu_windows.end(),
                                     std::greater_equal<>()) == order.cu_windows.end());
      EXPECT_EQ(order.cu_windows.back(), static_cast<std::int32_t>(order.height.size()));
    }
}

TEST(Qwen25VlVisionOrder, GridsThatDoNotMergeOrAreHugeAreRefused) {
  for (const ImageGrid& grid :
       {ImageGrid{1, 3, 4}, ImageGrid{1, 4, 0}, ImageGrid{0, 4, 4}, ImageGrid{1, -2, -2},
        ImageGrid{1, 1 << 20, 1 << 20}, ImageGrid{std::int64_t{1} << 62, 2, 2}})
    error_of(ErrorCode::InvalidRequest,
             [&] { vision_order(config_of(2, 4), std::vector<ImageGrid>{grid}); });
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

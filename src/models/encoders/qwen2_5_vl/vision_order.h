#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/image_grid.h"

namespace annulus::qwen2_5_vl {

/// How the patches of several pictures stand in the vision tower. Outside, merged patches (groups
/// of merge_unit() patches) come picture by picture, frame by frame, row by row; inside, window by
/// window, so that a window is a run.
struct VisionOrder {
  std::vector<std::int32_t> to_windows;     // [merged] where the merged patch inside comes from
  std::vector<std::int32_t> from_windows;   // [merged] the inverse
  std::vector<std::int32_t> cu_windows;     // [windows + 1] patches before each window, and in all
  std::vector<std::int32_t> cu_frames;      // [frames + 1] patches before each frame, and in all
  std::vector<std::int32_t> height, width;  // [patches] row and column of each patch inside
};

/// Throws InvalidRequest when a side is not a positive multiple of spatial_merge_size or there are
/// too many patches. Source: get_vision_window_index, get_vision_position_ids and
/// get_vision_cu_seqlens of transformers.
VisionOrder vision_order(const VisionConfig& config, std::span<const ImageGrid> grids);

}  // namespace annulus::qwen2_5_vl

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/qwen_image/transformer_config.h"

namespace annulus::qwen_image {

/// One picture (or layer) of the image sequence, counted in patches.
struct PatchGrid {
  std::int64_t frames = 1, height = 0, width = 0;
  std::int64_t tokens() const noexcept { return frames * height * width; }
  bool operator==(const PatchGrid&) const = default;
};

/// Rotary angles in radians, image rows first: [tokens of all grids + txt_seq, head_dim / 2],
/// row-major. Grid i stands at frame i (with use_layer3d_rope the last one at -1); rows and columns
/// are counted from a picture's middle, half of them negative; text goes on along all three axes
/// where the largest picture ends.
///
/// Throws InvalidRequest when a position lies beyond the reference's tables (4096 either way).
/// Source: diffusers QwenEmbedRope and QwenEmbedLayer3DRope with scale_rope.
std::vector<double> joint_angles(const TransformerConfig& config, std::span<const PatchGrid> grids,
                                 std::int64_t txt_seq);

}  // namespace annulus::qwen_image

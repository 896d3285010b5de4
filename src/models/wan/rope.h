#pragma once

#include <cstdint>
#include <vector>

#include "models/wan/transformer_config.h"

namespace annulus::wan {

/// A video, or a part of one, counted in patches.
struct VideoGrid {
  std::int64_t frames = 1, height = 0, width = 0;
  std::int64_t first_frame = 0;  // of the part in the whole video
  std::int64_t frame_rows() const noexcept { return height * width; }
  std::int64_t rows() const noexcept { return frames * height * width; }
};

/// Rotary angles in radians by frame, row and column: [grid.rows(), head_dim / 2], row-major. The
/// first pairs of a head turn with the frame, then as many each with row and column.
///
/// Throws InvalidRequest when a position lies beyond rope_max_seq_len. Source: diffusers
/// WanRotaryPosEmbed.
std::vector<double> video_angles(const TransformerConfig& config, const VideoGrid& grid);

}  // namespace annulus::wan

#pragma once

#include <functional>
#include <vector>

#include "tensor/shape.h"

namespace annulus::qwen_image {

/// Values on the host, row-major.
struct HostTensor {
  Shape shape;
  std::vector<float> values;
};

/// Overlapping tiles, in pixels. Names and defaults are those of diffusers.
struct Tiling {
  std::int64_t tile_sample_min_height = 256, tile_sample_min_width = 256;
  std::int64_t tile_sample_stride_height = 192, tile_sample_stride_width = 192;
};

/// How a picture is cut, in its own units (pixels to encode, latents to decode), and how the
/// results are joined, in theirs.
struct TilePlan {
  std::int64_t tile_height, tile_width, stride_height, stride_width;  // of the input
  std::int64_t blend_height, blend_width, keep_height, keep_width;    // of the result
  std::int64_t result_height, result_width;                           // of the whole result
};

/// Runs `make(top, left, height, width)` for each tile of a picture of `height` x `width`, row by
/// row; it returns the tile's result [batch, frames, rows, columns, channels]. Each result is
/// blended with its upper, then its left neighbour, cut to what is kept, and put in place. A row
/// and a half of results are held at a time.
HostTensor in_tiles(const TilePlan& plan, std::int64_t height, std::int64_t width,
                    const std::function<HostTensor(std::int64_t top, std::int64_t left,
                                                   std::int64_t height, std::int64_t width)>& make);

/// Tiles of in_tiles.
std::int64_t tile_count(const TilePlan& plan, std::int64_t height, std::int64_t width) noexcept;

}  // namespace annulus::qwen_image

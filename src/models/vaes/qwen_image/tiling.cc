#include "models/vaes/qwen_image/tiling.h"

#include <algorithm>

#include "base/error.h"

namespace annulus::qwen_image {

namespace {

/// The same place of every frame and entry: rows and columns of [frames, height, width, channels].
class Grid {
 public:
  explicit Grid(HostTensor& t)
      : t_(t),
        frames_(t.shape[0] * t.shape[1]),
        height_(t.shape[2]),
        width_(t.shape[3]),
        channels_(t.shape[4]) {}
  std::int64_t frames() const { return frames_; }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  std::int64_t channels() const { return channels_; }
  float* at(std::int64_t frame, std::int64_t row, std::int64_t column) const {
    return t_.values.data() + ((frame * height_ + row) * width_ + column) * channels_;
  }

 private:
  HostTensor& t_;
  std::int64_t frames_, height_, width_, channels_;
};

/// to = from * (1 - share) + to * share, the weights rounded to f32 as torch does.
void mix(const float* from, float* to, std::int64_t count, double share) {
  const auto of_from = static_cast<float>(1 - share), of_to = static_cast<float>(share);
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] * of_from + to[i] * of_to;
}

void blend_vertically(HostTensor& above, HostTensor& tile, std::int64_t extent) {
  const Grid a(above), b(tile);
  const std::int64_t rows = std::min({a.height(), b.height(), extent});
  const std::int64_t columns = std::min(a.width(), b.width());
  for (std::int64_t frame = 0; frame < b.frames(); ++frame)
    for (std::int64_t y = 0; y < rows; ++y)
      mix(a.at(frame, a.height() - rows + y, 0), b.at(frame, y, 0), columns * b.channels(),
          static_cast<double>(y) / static_cast<double>(rows));
}

void blend_horizontally(HostTensor& left, HostTensor& tile, std::int64_t extent) {
  const Grid a(left), b(tile);
  const std::int64_t columns = std::min({a.width(), b.width(), extent});
  const std::int64_t rows = std::min(a.height(), b.height());
  for (std::int64_t frame = 0; frame < b.frames(); ++frame)
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t x = 0; x < columns; ++x)
        mix(a.at(frame, y, a.width() - columns + x), b.at(frame, y, x), b.channels(),
            static_cast<double>(x) / static_cast<double>(columns));
}

std::int64_t steps(std::int64_t extent, std::int64_t stride) {
  return (extent + stride - 1) / stride;
}

}  // namespace

std::int64_t tile_count(const TilePlan& plan, std::int64_t height, std::int64_t width) noexcept {
  return steps(height, plan.stride_height) * steps(width, plan.stride_width);
}

HostTensor in_tiles(
    const TilePlan& plan, std::int64_t height, std::int64_t width,
    const std::function<HostTensor(std::int64_t top, std::int64_t left, std::int64_t height,
                                   std::int64_t width)>& make) {
  require(plan.tile_height >= 1 && plan.tile_width >= 1 && plan.stride_height >= 1 &&
              plan.stride_width >= 1 && plan.keep_height >= 1 && plan.keep_width >= 1 &&
              plan.blend_height >= 0 && plan.blend_width >= 0,
          ErrorCode::InvalidRequest,
          "tiling: wanted tiles at least as large as their strides, found ", plan.tile_height,
          " x ", plan.tile_width, " every ", plan.stride_height, " x ", plan.stride_width);
  HostTensor whole;
  std::vector<HostTensor> above;
  std::int64_t top_of_kept = 0;
  for (std::int64_t top = 0; top < height; top += plan.stride_height) {
    std::vector<HostTensor> row;
    std::int64_t left_of_kept = 0;
    for (std::int64_t left = 0; left < width; left += plan.stride_width) {
      HostTensor tile = make(top, left, std::min(plan.tile_height, height - top),
                             std::min(plan.tile_width, width - left));
      if (whole.values.empty()) {
        whole.shape = tile.shape.with(2, plan.result_height).with(3, plan.result_width);
        whole.values.resize(static_cast<std::size_t>(whole.shape.elements()));
      }
      const std::size_t column = row.size();
      if (!above.empty()) blend_vertically(above[column], tile, plan.blend_height);
      if (column > 0) blend_horizontally(row.back(), tile, plan.blend_width);
      const Grid from(tile), to(whole);
      const std::int64_t rows =
          std::min({plan.keep_height, from.height(), plan.result_height - top_of_kept});
      const std::int64_t columns =
          std::min({plan.keep_width, from.width(), plan.result_width - left_of_kept});
      for (std::int64_t frame = 0; frame < from.frames(); ++frame)
        for (std::int64_t y = 0; y < rows; ++y)
          if (columns > 0)
            std::copy_n(from.at(frame, y, 0), columns * from.channels(),
                        to.at(frame, top_of_kept + y, left_of_kept));
      left_of_kept += std::min(plan.keep_width, from.width());
      row.push_back(std::move(tile));
    }
    top_of_kept += std::min(plan.keep_height, row.front().shape[2]);
    above = std::move(row);
  }
  return whole;
}

}  // namespace annulus::qwen_image

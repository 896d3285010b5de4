#include "models/qwen_image/rope.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace annulus::qwen_image {

namespace {

constexpr float kTheta = 10000.0f;
constexpr std::int64_t kTable = 4096;  // positions that the reference tabulates, either way

/// Turns per position of each pair of one axis. f32 as in the reference: an angle of a far position
/// is sensitive to it.
std::vector<float> frequencies(std::int64_t dim) {
  std::vector<float> out(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = 1.0f / std::pow(kTheta, static_cast<float>(2 * i) / static_cast<float>(dim));
  return out;
}

class Angles {
 public:
  explicit Angles(const TransformerConfig& config) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      frequencies_[axis] = frequencies(config.axes_dims_rope[axis]);
  }

  void reserve(std::int64_t rows, std::int64_t pairs) {
    values_.reserve(static_cast<std::size_t>(rows * pairs));
  }

  void push(std::int64_t frame, std::int64_t row, std::int64_t column) {
    const std::array<std::int64_t, 3> position = {frame, row, column};
    for (std::size_t axis = 0; axis < 3; ++axis)
      for (const float frequency : frequencies_[axis])
        values_.push_back(static_cast<double>(static_cast<float>(position[axis]) * frequency));
  }

  std::vector<double> take() { return std::move(values_); }

 private:
  std::array<std::vector<float>, 3> frequencies_;
  std::vector<double> values_;
};

/// Where counting starts so that the middle is 0: the negative half is the larger one.
std::int64_t first_of(std::int64_t extent) {
  return -(extent - extent / 2);
}

}  // namespace

std::vector<double> joint_angles(const TransformerConfig& config, std::span<const PatchGrid> grids,
                                 std::int64_t txt_seq) {
  const auto count = static_cast<std::int64_t>(grids.size());
  std::int64_t text = config.use_layer3d_rope ? count - 1 : 0, rows = txt_seq;
  for (std::int64_t i = 0; i < count; ++i) {
    const PatchGrid& grid = grids[static_cast<std::size_t>(i)];
    require(grid.frames >= 1 && grid.height >= 1 && grid.width >= 1 && i + grid.frames <= kTable &&
                -first_of(grid.height) <= kTable && -first_of(grid.width) <= kTable,
            ErrorCode::InvalidRequest, "positions: wanted at most ", 2 * kTable,
            " patches a side and ", kTable, " pictures, found picture ", i, " of ", grid.frames,
            " x ", grid.height, " x ", grid.width);
    text = std::max({text, grid.height / 2, grid.width / 2});
    rows += grid.tokens();
  }
  require(text + txt_seq <= kTable, ErrorCode::InvalidRequest,
          "positions: wanted text that ends at ", kTable, " at most, found ", txt_seq,
          " rows from ", text);

  Angles angles(config);
  angles.reserve(rows, config.attention_head_dim / 2);
  for (std::int64_t i = 0; i < count; ++i) {
    const PatchGrid& grid = grids[static_cast<std::size_t>(i)];
    const bool condition = config.use_layer3d_rope && i == count - 1;
    for (std::int64_t frame = 0; frame < grid.frames; ++frame)
      for (std::int64_t row = 0; row < grid.height; ++row)
        for (std::int64_t column = 0; column < grid.width; ++column)
          angles.push(condition ? -1 : i + frame, first_of(grid.height) + row,
                      first_of(grid.width) + column);
  }
  for (std::int64_t i = text; i < text + txt_seq; ++i) angles.push(i, i, i);
  return angles.take();
}

}  // namespace annulus::qwen_image

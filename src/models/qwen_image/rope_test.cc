#include "models/qwen_image/rope.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace annulus::qwen_image {
namespace {

TransformerConfig small_config() {
  TransformerConfig config;
  config.attention_head_dim = 12;
  config.axes_dims_rope = {4, 2, 6};
  return config;
}

/// The definition, in double: position times theta^(-2 i / dim), axis after axis.
std::vector<double> row_of(const TransformerConfig& config, std::array<double, 3> position) {
  std::vector<double> row;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto dim = static_cast<double>(config.axes_dims_rope[axis]);
    for (double i = 0; i < dim / 2; ++i)
      row.push_back(position[axis] * std::pow(10000.0, -2 * i / dim));
  }
  return row;
}

void expect_row(std::span<const double> angles, std::size_t row, const TransformerConfig& config,
                std::array<double, 3> position) {
  const std::vector<double> want = row_of(config, position);
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(angles[row * want.size() + i], want[i], 1e-6 + 2e-7 * std::abs(want[i]))
        << "row " << row << ", pair " << i;
}

TEST(QwenImageRope, RowsAndColumnsAreCountedFromTheMiddleWithTheLargerHalfNegative) {
  const TransformerConfig config = small_config();
  const std::vector<PatchGrid> grids = {{1, 3, 2}};
  const std::vector<double> angles = joint_angles(config, grids, 0);
  ASSERT_EQ(angles.size(), 6u * 6u);
  std::size_t row = 0;
  for (const double y : {-2.0, -1.0, 0.0})
    for (const double x : {-1.0, 0.0}) expect_row(angles, row++, config, {0, y, x});
}

TEST(QwenImageRope, EachPictureHasItsFrameAndTextFollowsTheLargestOne) {
  const TransformerConfig config = small_config();
  const std::vector<PatchGrid> grids = {{1, 1, 1}, {1, 2, 9}};
  const std::vector<double> angles = joint_angles(config, grids, 3);
  expect_row(angles, 0, config, {0, -1, -1});
  expect_row(angles, 1, config, {1, -1, -5});
  for (std::size_t i = 0; i < 3; ++i) {
    const double at = 4 + static_cast<double>(i);  // 9 / 2
    expect_row(angles, 19 + i, config, {at, at, at});
  }
}

TEST(QwenImageRope, TheLastLayerOfALayeredPictureStandsAtFrameMinusOne) {
  TransformerConfig config = small_config();
  config.use_layer3d_rope = true;
  const std::vector<PatchGrid> grids = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
  const std::vector<double> angles = joint_angles(config, grids, 1);
  expect_row(angles, 1, config, {1, -1, -1});
  expect_row(angles, 2, config, {-1, -1, -1});
  expect_row(angles, 3, config, {2, 2, 2});  // layers before the condition
}

TEST(QwenImageRope, PositionsBeyondTheTablesAreRefused) {
  const TransformerConfig config = small_config();
  const auto with = [&](PatchGrid grid, std::int64_t txt_seq) {
    const std::vector<PatchGrid> grids = {grid};
    return joint_angles(config, grids, txt_seq);
  };
  EXPECT_NO_THROW(with({1, 8192, 1}, 0));
  EXPECT_THROW(with({1, 8193, 1}, 0), Error);
  EXPECT_NO_THROW(with({1, 2, 2}, 4095));
  EXPECT_THROW(with({1, 2, 2}, 4096), Error);
  EXPECT_THROW(with({1, 0, 2}, 1), Error);
}

}  // namespace
}  // namespace annulus::qwen_image

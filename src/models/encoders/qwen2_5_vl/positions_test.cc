#include "models/encoders/qwen2_5_vl/positions.h"

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace annulus::qwen2_5_vl {
namespace {

constexpr std::int32_t kImage = 9;
using List = std::vector<std::int64_t>;

Positions of_row(const std::vector<std::int32_t>& ids, const std::vector<ImageGrid>& grids) {
  const List lengths = {static_cast<std::int64_t>(ids.size())};
  const std::vector<std::span<const ImageGrid>> images = {grids};
  return grid_positions(ids, lengths, images, 2, kImage);
}

TEST(Qwen25VlPositions, TextGoesOnPastTheLongerSideOfAPicture) {
  // Worked out by hand from get_rope_index: 2 tokens, 2 x 3 merged patches, 1 token.
  const Positions got = of_row({1, 2, 9, 9, 9, 9, 9, 9, 3}, {{1, 4, 6}});
  EXPECT_EQ(got.axes[0], (List{0, 1, 2, 2, 2, 2, 2, 2, 5}));
  EXPECT_EQ(got.axes[1], (List{0, 1, 2, 2, 2, 3, 3, 3, 5}));
  EXPECT_EQ(got.axes[2], (List{0, 1, 2, 3, 4, 2, 3, 4, 5}));
}

TEST(Qwen25VlPositions, PaddingStandsAtZeroAndRowsAreIndependent) {
  const std::vector<std::int32_t> ids = {1, 9, 2, 0, 0,  //
                                         9, 9, 1, 1, 1};
  const List lengths = {3, 5};
  const std::vector<ImageGrid> small = {{1, 2, 2}}, wide = {{1, 2, 4}};
  const std::vector<std::span<const ImageGrid>> images = {small, wide};
  const Positions got = grid_positions(ids, lengths, images, 2, kImage);
  EXPECT_EQ(got.axes[0], (List{0, 1, 2, 0, 0, 0, 0, 2, 3, 4}));
  EXPECT_EQ(got.axes[2], (List{0, 1, 2, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(Qwen25VlPositions, WithoutPicturesTheyAreThoseOfTheLine) {
  const Positions grid = of_row({5, 4, 3}, {}), line = line_positions(1, 3);
  EXPECT_EQ(grid.axes, line.axes);
}

TEST(Qwen25VlPositions, ImageTokensThatAreNotThoseOfThePicturesAreRefused) {
  for (const auto& ids : {std::vector<std::int32_t>{9, 9, 9},        // too few
                          std::vector<std::int32_t>{9, 9, 1, 9, 9},  // torn apart
                          std::vector<std::int32_t>{9, 9, 9, 9, 9},  // too many
                          std::vector<std::int32_t>{1, 2, 3}})       // none
    error_of(ErrorCode::InvalidRequest, [&] { of_row(ids, {{1, 4, 4}}); });
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

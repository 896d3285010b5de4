#include "models/wan/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace annulus::wan {
namespace {

TEST(WanRope, AnglesAreThoseOfTheFormulaForEachAxis) {
  TransformerConfig config;
  config.attention_head_dim = 128;  // 44 channels for frames, 42 each for rows and columns
  const std::vector<double> angles = video_angles(config, {2, 3, 4, 5});
  ASSERT_EQ(angles.size(), 2U * 3 * 4 * 64);
  std::size_t at = 0;
  for (int frame = 5; frame < 7; ++frame)
    for (int row = 0; row < 3; ++row)
      for (int column = 0; column < 4; ++column) {
        for (int i = 0; i < 22; ++i)
          EXPECT_NEAR(angles[at++], frame * std::pow(10000.0, -2.0 * i / 44), 1e-12);
        for (int i = 0; i < 21; ++i)
          EXPECT_NEAR(angles[at++], row * std::pow(10000.0, -2.0 * i / 42), 1e-12);
        for (int i = 0; i < 21; ++i)
          EXPECT_NEAR(angles[at++], column * std::pow(10000.0, -2.0 * i / 42), 1e-12);
      }
}

TEST(WanRope, PositionsBeyondTheTableAreRefused) {
  TransformerConfig config;
  config.rope_max_seq_len = 8;
  EXPECT_NO_THROW(video_angles(config, {2, 8, 8, 6}));
  EXPECT_THROW(video_angles(config, {2, 8, 8, 7}), Error);
  EXPECT_THROW(video_angles(config, {1, 9, 1}), Error);
}

}  // namespace
}  // namespace annulus::wan

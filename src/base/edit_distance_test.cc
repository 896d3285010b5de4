#include "base/edit_distance.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

TEST(EditDistanceTest, EveryKindOfEditCountsOnce) {
  EXPECT_EQ(edit_distance("weight", "weight"), 0u);
  EXPECT_EQ(edit_distance("weight", "wieght"), 1u);
  EXPECT_EQ(edit_distance("weight", "weights"), 1u);
  EXPECT_EQ(edit_distance("weight", "eight"), 1u);
  EXPECT_EQ(edit_distance("weight", "weighs"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

}  // namespace
}  // namespace annulus

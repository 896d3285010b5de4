#include "attention/merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention/random_case.h"

namespace annulus {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// out and lse of a row of two elements.
struct Part {
  std::array<float, 2> out;
  float lse;
};

Part merged(Part a, const Part& b) {
  const std::array<std::int64_t, 4> extent{1, 1, 1, 2}, stride{2, 2, 2, 1};
  const std::array<std::int64_t, 3> rows{1, 1, 1}, steps{1, 1, 1};
  merge_partial(1, {a.out.data(), extent, stride}, {&a.lse, rows, steps},
                {b.out.data(), extent, stride}, {&b.lse, rows, steps});
  return a;
}

TEST(MergePartial, TwoPartsWeighByTheirExponents) {
  const Part m = merged({{1, 2}, std::log(3.0f)}, {{5, -2}, std::log(1.0f)});
  EXPECT_NEAR(m.out[0], 2, 1e-6);
  EXPECT_NEAR(m.out[1], 1, 1e-6);
  EXPECT_NEAR(m.lse, std::log(4.0), 1e-6);
}

TEST(MergePartial, APartWithoutKeysChangesNothing) {
  const Part nan{{NAN, NAN}, kNone}, part{{1, 2}, 0.5f};
  for (const Part& m : {merged(part, nan), merged(nan, part)}) {
    EXPECT_EQ(m.out, part.out);
    EXPECT_EQ(m.lse, part.lse);
  }
  const Part dead = merged({{0, 0}, kNone}, {{0, 0}, kNone});
  EXPECT_EQ(dead.out[0], 0);
  EXPECT_EQ(dead.lse, kNone);
}

TEST(MergePartial, NanAndInfinityPropagate) {
  EXPECT_TRUE(std::isnan(merged({{NAN, 1}, 0}, {{1, 1}, 0}).out[0]));
  EXPECT_TRUE(std::isnan(merged({{1, 1}, 0}, {{1, 1}, NAN}).lse));
  EXPECT_TRUE(std::isinf(merged({{1, 1}, 0}, {{INFINITY, 1}, 0}).out[0]));
}

TEST(MergePartial, FarApartExponentsNeitherOverflowNorVanish) {
  EXPECT_EQ(merged({{1, 1}, 1e30f}, {{2, 2}, -1e30f}).out[0], 1);
  EXPECT_EQ(merged({{1, 1}, -1e30f}, {{2, 2}, 1e30f}).lse, 1e30f);
}

}  // namespace
}  // namespace annulus

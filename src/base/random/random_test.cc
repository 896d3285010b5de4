#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/random/numpy_generator.h"
#include "base/random/numpy_random_state.h"
#include "base/random/torch_generator.h"

// The whole of tests/goldens/rng is compared by annulus-goldens; here are laws, and enough numbers
// of torch 2.15 and numpy 2 to notice a compiler that fuses or reorders.
namespace annulus {
namespace {

template <class T>
std::vector<T> randn(TorchGenerator& generator, std::size_t count) {
  std::vector<T> numbers(count);
  generator.randn(std::span<T>(numbers));
  return numbers;
}

std::vector<float> randn(std::uint64_t seed, std::size_t count) {
  TorchGenerator generator(seed);
  return randn<float>(generator, count);
}

TEST(TorchGenerator, FiveNormalsOfSeed42EqualTorchs) {
  EXPECT_EQ(randn(42, 5), (std::vector<float>{0x1.58c55cp-2f, 0x1.07cd3ap-3f, 0x1.e02dcep-3f,
                                              0x1.d7b8d8p-3f, -0x1.1f7384p+0f}));
}

TEST(TorchGenerator, SeventeenNormalsOfSeed42EqualTorchs) {
  EXPECT_EQ(randn(42, 17),
            (std::vector<float>{0x1.ed4a52p+0f, -0x1.46db0ap-3f, -0x1.fd55c8p-2f, 0x1.c223bp-2f,
                                -0x1.8429c4p-1f, 0x1.140cap+0f, 0x1.9a0288p-1f, 0x1.ae3d26p+0f,
                                0x1.6c668ap-2f, 0x1.4be25ep+0f, 0x1.388f1p-1f, 0x1.55b16p+0f,
                                -0x1.da5ddap-3f, 0x1.5618p-5f, -0x1.019cf4p-2f, 0x1.b83f6p-1f,
                                -0x1.3d2904p-2f}));
}

TEST(TorchGenerator, WholeBlocksDoNotDependOnHowManyFollow) {
  const std::vector<float> few = randn(7, 32), many = randn(7, 4096);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

TEST(TorchGenerator, OnlyTheLowerHalfOfASeedCounts) {
  EXPECT_EQ(randn(5, 40), randn((std::uint64_t{9} << 32) + 5, 40));
}

TEST(TorchGenerator, ASecondNormalIsKeptAcrossLongerCalls) {
  TorchGenerator pair(3), split(3);
  const std::vector<float> both = randn<float>(pair, 2);
  EXPECT_EQ(randn<float>(split, 1)[0], both[0]);
  randn<float>(split, 16);
  EXPECT_EQ(randn<float>(split, 1)[0], both[1]);
}

TEST(TorchGenerator, ACopyContinuesFromTheSameState) {
  TorchGenerator first(11);
  randn<float>(first, 3);
  TorchGenerator second = first;
  EXPECT_EQ(randn<double>(first, 21), randn<double>(second, 21));
}

TEST(TorchGenerator, SixteenBitBlocksAreRoundedSinglePrecision) {
  TorchGenerator single(9), half(9), brain(9);
  const std::vector<float> exact = randn<float>(single, 64);
  const std::vector<F16> halves = randn<F16>(half, 64);
  const std::vector<Bf16> brains = randn<Bf16>(brain, 64);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(halves[i].bits, to_f16(exact[i]).bits) << i;
    EXPECT_EQ(brains[i].bits, to_bf16(exact[i]).bits) << i;
  }
}

TEST(TorchGenerator, UniformNumbersStayBelowOneInEveryType) {
  TorchGenerator generator(1);
  std::vector<Bf16> numbers(20000);
  generator.rand(std::span<Bf16>(numbers));
  for (const Bf16 x : numbers) {
    EXPECT_GE(to_float(x), 0.0f);
    EXPECT_LT(to_float(x), 1.0f);
  }
}

TEST(TorchGenerator, IntegersAndPermutationsOfSeed42EqualTorchs) {
  TorchGenerator integers(42), permutation(42);
  std::array<std::int64_t, 5> drawn{}, order{};
  integers.randint(0, 1000, drawn);
  permutation.randperm(order);
  EXPECT_EQ(drawn, (std::array<std::int64_t, 5>{542, 67, 876, 414, 26}));
  EXPECT_EQ(order, (std::array<std::int64_t, 5>{2, 4, 3, 0, 1}));
}

TEST(TorchGenerator, ImpossibleArgumentsAreRefused) {
  TorchGenerator generator(0);
  std::array<std::int64_t, 1> integer{};
  std::array<float, 1> number{};
  EXPECT_THROW(generator.randint(3, 3, integer), Error);
  EXPECT_THROW(generator.bernoulli(1.5, number), Error);
  EXPECT_THROW(generator.bernoulli(std::span<const float>(), number), Error);
}

TEST(NumpyRandomState, NormalsOfSeed42EqualNumpys) {
  NumpyRandomState state(42);
  std::array<double, 3> numbers{};
  state.randn(numbers);
  EXPECT_EQ(numbers, (std::array<double, 3>{0x1.fca2a28a9307cp-2, -0x1.1b2a505de052ap-3,
                                            0x1.4b9dd50245e68p-1}));
}

TEST(NumpyRandomState, APermutationHoldsEachIndexOnce) {
  NumpyRandomState state(5);
  std::vector<std::int64_t> order(257);
  state.permutation(order);
  std::vector<bool> seen(order.size());
  for (const std::int64_t i : order) seen[static_cast<std::size_t>(i)] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 257);
}

TEST(NumpyGenerator, NormalsOfSeed42EqualNumpys) {
  NumpyGenerator generator(42);
  std::array<double, 3> numbers{};
  generator.standard_normal(numbers);
  EXPECT_EQ(numbers, (std::array<double, 3>{0x1.3807c1104fc6bp-2, -0x1.0a3c65fca9a7ep+0,
                                            0x1.803b239e7735p-1}));
}

TEST(NumpyGenerator, IntegersStayInTheirRange) {
  NumpyGenerator generator(1);
  std::vector<std::int64_t> numbers(1000);
  for (const std::int64_t high : {std::int64_t{-4}, std::int64_t{95}, std::int64_t{1} << 40}) {
    generator.integers(-5, high, numbers);
    for (const std::int64_t x : numbers) {
      EXPECT_GE(x, -5);
      EXPECT_LT(x, high);
    }
  }
}

}  // namespace
}  // namespace annulus

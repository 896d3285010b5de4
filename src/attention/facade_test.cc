// Oracles: the reference backend, and the law that keys split and merged are the keys whole.
#include <gtest/gtest.h>

#include <annulus/attention.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>

namespace {

using annulus::attention::Arguments;
using annulus::attention::Attention;
using annulus::attention::DType;
using annulus::attention::Input;

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  std::vector<float> values(count);
  for (float& value : values) value = draw(random);
  return values;
}

// Two entries of five queries and seven keys, four heads over two, head_dim 24.
struct Case {
  std::vector<float> q = normal(2 * 5 * 4 * 24, 1), k = normal(2 * 7 * 2 * 24, 2),
                     v = normal(2 * 7 * 2 * 24, 3);
  std::vector<float> out = std::vector<float>(q.size()), lse = std::vector<float>(2 * 4 * 5);

  // Keys [begin, end): a window on all keys by strides.
  Arguments keys(std::int64_t begin, std::int64_t end) const {
    const std::vector<std::int64_t> shape = {2, end - begin, 2, 24}, strides = {7 * 48, 48, 24, 1};
    Arguments arguments;
    arguments.q = {q.data(), {2, 5, 4, 24}};
    arguments.k = {k.data() + begin * 48, shape, strides};
    arguments.v = {v.data() + begin * 48, shape, strides};
    return arguments;
  }
};

void expect_near(const std::vector<float>& got, const std::vector<float>& expected, float bound) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], bound) << "first bad index " << i;
}

TEST(AttentionFacade, FlashEqualsTheReference) {
  Case flash, reference;
  Attention(1).run(flash.keys(0, 7), {flash.out.data(), {2, 5, 4, 24}},
                   {flash.lse.data(), {2, 4, 5}});
  Attention(1, "reference")
      .run(reference.keys(0, 7), {reference.out.data(), {2, 5, 4, 24}},
           {reference.lse.data(), {2, 4, 5}});
  expect_near(flash.out, reference.out, 2e-5F);
  expect_near(flash.lse, reference.lse, 2e-5F);
}

TEST(AttentionFacade, KeysSplitAndMergedAreTheKeysWhole) {
  Case whole, first, second;
  Attention attention(2);
  attention.run(whole.keys(0, 7), {whole.out.data(), {2, 5, 4, 24}}, {whole.lse.data(), {2, 4, 5}});
  attention.run(first.keys(0, 3), {first.out.data(), {2, 5, 4, 24}}, {first.lse.data(), {2, 4, 5}});
  attention.run(second.keys(3, 7), {second.out.data(), {2, 5, 4, 24}},
                {second.lse.data(), {2, 4, 5}});
  attention.merge({first.out.data(), {2, 5, 4, 24}}, {first.lse.data(), {2, 4, 5}},
                  {second.out.data(), {2, 5, 4, 24}}, {second.lse.data(), {2, 4, 5}});
  expect_near(first.out, whole.out, 2e-5F);
  expect_near(first.lse, whole.lse, 2e-5F);
}

TEST(AttentionFacade, KeysFoldedAreTheKeysWhole) {
  Case whole, folded;
  std::vector<float> total(whole.out.size()), max(whole.lse.size()), sum(whole.lse.size());
  const annulus::attention::Running running = {
      {total.data(), {2, 5, 4, 24}}, {max.data(), {2, 4, 5}}, {sum.data(), {2, 4, 5}}};
  Attention attention(2);
  attention.run(whole.keys(0, 7), {whole.out.data(), {2, 5, 4, 24}}, {whole.lse.data(), {2, 4, 5}});
  attention.start(running);
  attention.fold(folded.keys(0, 3), running);
  attention.fold(folded.keys(3, 7), running);
  attention.finish(running, {folded.out.data(), {2, 5, 4, 24}}, {folded.lse.data(), {2, 4, 5}});
  expect_near(folded.out, whole.out, 2e-5F);
  expect_near(folded.lse, whole.lse, 2e-5F);
}

TEST(AttentionFacade, ARowThatSeesNoKeyGivesZeroAndMinusInfinity) {
  Case given;
  const std::int32_t lengths[] = {0, 7};
  Arguments arguments = given.keys(0, 7);
  arguments.kv_lengths = {lengths, {2}};
  Attention(1).run(arguments, {given.out.data(), {2, 5, 4, 24}}, {given.lse.data(), {2, 4, 5}});
  EXPECT_EQ(given.out[17], 0.0F);
  EXPECT_EQ(given.lse[3], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isfinite(given.lse[4 * 5]));
}

TEST(AttentionFacade, WhatContradictsItselfIsRefused) {
  Case given;
  Attention attention(1);
  const Arguments good = given.keys(0, 7);
  EXPECT_THROW(attention.run(good, {given.out.data(), {2, 5, 4, 23}}), std::runtime_error);
  EXPECT_THROW(attention.run(good, {}), std::runtime_error);
  Arguments bad = good;
  bad.k.strides = {1, 1};
  EXPECT_THROW(attention.run(bad, {given.out.data(), {2, 5, 4, 24}}), std::runtime_error);
  bad.k.strides = {-336, 48, 24, 1};
  EXPECT_THROW(attention.run(bad, {given.out.data(), {2, 5, 4, 24}}), std::runtime_error);
  bad.k.strides = {std::numeric_limits<std::int64_t>::max(), 48, 24, 1};
  EXPECT_THROW(attention.run(bad, {given.out.data(), {2, 5, 4, 24}}), std::runtime_error);
  bad = good;
  bad.v.dtype = DType::BF16;
  EXPECT_THROW(attention.run(bad, {given.out.data(), {2, 5, 4, 24}}), std::runtime_error);
  EXPECT_THROW(
      attention.merge({given.out.data(), {2, 5, 4, 24}}, {given.lse.data(), {2, 5, 4}},
                      Input(given.out.data(), {2, 5, 4, 24}), Input(given.lse.data(), {2, 4, 5})),
      std::runtime_error);
  EXPECT_THROW(Attention(1, "flesh"), std::runtime_error);
  EXPECT_THROW(Attention(1, "flash", "sse9"), std::runtime_error);
  EXPECT_THROW(attention.start({}), std::runtime_error);
}

}  // namespace

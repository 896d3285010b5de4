#include "platform/math_attention.h"

#include <gtest/gtest.h>

#include "attention/random_case.h"
#include "attention/reference.h"
#include "platform/reference/ops.h"

namespace annulus {
namespace {

TEST(MathAttention, EqualsTheReferenceOnRandomCallsOfEveryOption) {
  HostDevice device(1);
  const MathAttention math(reference::ops());
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const RandomCase c(device, seed);
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    const std::string wrong = c.compare(c.run(math, c.out_dtype()), expected, c.out_dtype());
    ASSERT_EQ(wrong, "") << "seed " << seed << ": " << c.text();
  }
}

TEST(MathAttention, WithoutLseRefusesToBePartOfARing) {
  const MathAttention plain("onednn", reference::ops(), "returns no log-sum-exp");
  AttentionSpec spec = {.heads = 2, .kv_heads = 2, .head_dim = 8};
  EXPECT_EQ(plain.refusal(spec), std::nullopt);
  spec.lse = true;
  EXPECT_EQ(plain.refusal(spec), "returns no log-sum-exp");
  EXPECT_EQ(MathAttention(reference::ops()).refusal(spec), std::nullopt);
}

TEST(MathAttention, RefusesAPlatformWithoutTheOperations) {
  const MathAttention math{OpTable{}};
  EXPECT_NE(math.refusal({.heads = 1, .kv_heads = 1, .head_dim = 8}), std::nullopt);
}

}  // namespace
}  // namespace annulus

#include "attention/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/host_device.h"

namespace annulus {
namespace {

// One head of one element: scores are q * k, so results can be worked out by hand.
class ReferenceTest : public ::testing::Test {
 protected:
  template <class T>
  Tensor make(const Shape& shape, std::initializer_list<double> values) {
    Tensor x = Tensor::empty(shape, kDTypeOf<T>, device);
    std::int64_t n = 0;
    for (const double value : values) {
      if constexpr (is_floating(kDTypeOf<T>))
        x.data<T>()[n++] = convert<T>(value);
      else
        x.data<T>()[n++] = static_cast<T>(value);
    }
    return x;
  }
  template <class T = float>
  Tensor column(std::initializer_list<double> values) {
    return make<T>({1, static_cast<std::int64_t>(values.size()), 1, 1}, values);
  }
  void run(const AttentionArgs& args) {
    const auto stream = device.make_stream();
    Workspace workspace(device);
    out = Tensor::empty(args.q.shape(), args.q.dtype(), device);
    lse = Tensor::empty({1, 1, args.q.shape()[1]}, DType::F32, device);
    reference_attention().run(*stream, workspace, args, out, &lse);
  }
  std::vector<float> outs() const {
    const float* const x = std::as_const(out).data<float>();
    return {x, x + out.elements()};
  }

  HostDevice device{1};
  Tensor out, lse;
  // With q = 0 every visible key weighs the same, and `out` is the mean of the values seen.
  Tensor q = column({0, 0, 0}), k = column({1, 2, 3, 4}), v = column({1, 10, 100, 1000});
};

constexpr float kNone = -std::numeric_limits<float>::infinity();

TEST_F(ReferenceTest, SoftmaxOfTwoKeysIsItsDefinition) {
  const Tensor q1 = column({2}), k2 = column({1, 3}), v2 = column({5, 7});
  run({.q = q1, .k = k2, .v = v2, .scale = 0.5f});
  const double a = std::exp(1.0), b = std::exp(3.0);
  EXPECT_FLOAT_EQ(outs()[0], static_cast<float>((5 * a + 7 * b) / (a + b)));
  EXPECT_FLOAT_EQ(lse.data<float>()[0], static_cast<float>(std::log(a + b)));
}

TEST_F(ReferenceTest, DoubleTensorsStayDouble) {
  const Tensor q1 = column<double>({2}), k2 = column<double>({1, 3}), v2 = column<double>({5, 7});
  run({.q = q1, .k = k2, .v = v2, .scale = 0.5f});
  const double a = std::exp(1.0), b = std::exp(3.0);
  EXPECT_DOUBLE_EQ(out.data<double>()[0], (5 * a + 7 * b) / (a + b));
}

TEST_F(ReferenceTest, TopLeftCausalSeesKeysUpToTheQuerysNumber) {
  run({.q = q, .k = k, .v = v, .causal = Causal::TopLeft});
  EXPECT_EQ(outs(), (std::vector<float>{1, 5.5f, 37}));
}

TEST_F(ReferenceTest, BottomRightCausalEndsAtTheLastKey) {
  run({.q = q, .k = k, .v = v, .causal = Causal::BottomRight});
  EXPECT_EQ(outs(), (std::vector<float>{5.5f, 37, 277.75f}));
}

TEST_F(ReferenceTest, BottomRightUsesTheKeyLength) {
  const Tensor lengths = make<std::int32_t>({1}, {2});
  run({.q = q, .k = k, .v = v, .causal = Causal::BottomRight, .kv_lengths = &lengths});
  EXPECT_EQ(outs(), (std::vector<float>{0, 1, 5.5f}));
  EXPECT_EQ(lse.data<float>()[0], kNone);
}

TEST_F(ReferenceTest, AWindowCountsFromTheBottomRightDiagonal) {
  run({.q = q, .k = k, .v = v, .window = {1, 0}});
  EXPECT_EQ(outs(), (std::vector<float>{5.5f, 55, 550}));
  run({.q = q, .k = k, .v = v, .window = {-1, 0}});
  EXPECT_EQ(outs(), (std::vector<float>{5.5f, 37, 277.75f}));
  run({.q = q, .k = k, .v = v, .window = {0, 1}});
  EXPECT_EQ(outs(), (std::vector<float>{55, 550, 1000}));
}

TEST_F(ReferenceTest, DiagonalsReplaceTheAlignments) {
  const Tensor diagonals = make<std::int32_t>({1}, {-1});
  run({.q = q, .k = k, .v = v, .causal = Causal::TopLeft, .diagonals = &diagonals});
  EXPECT_EQ(outs(), (std::vector<float>{0, 1, 5.5f}));
  run({.q = q, .k = k, .v = v, .window = {0, 0}, .diagonals = &diagonals});
  EXPECT_EQ(outs(), (std::vector<float>{0, 1, 10}));
}

TEST_F(ReferenceTest, BooleanTrueMeansSeenAndMasksCombineByAnd) {
  const Tensor mask = make<bool>({1, 1, 3, 4}, {1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1});
  run({.q = q, .k = k, .v = v, .causal = Causal::TopLeft, .mask = &mask});
  EXPECT_EQ(outs(), (std::vector<float>{1, 10, 0}));
  EXPECT_EQ(lse.data<float>()[2], kNone);
}

TEST_F(ReferenceTest, AnAdditiveMaskIsAddedAfterTheScale) {
  const Tensor q1 = column({2}), k2 = column({1, 3}), v2 = column({5, 7});
  const Tensor mask = make<float>({1, 1, 1, 2}, {2, 0});
  run({.q = q1, .k = k2, .v = v2, .scale = 0.5f, .mask = &mask});
  EXPECT_FLOAT_EQ(outs()[0], 6);
  EXPECT_FLOAT_EQ(lse.data<float>()[0], static_cast<float>(3 + std::log(2.0)));
}

TEST_F(ReferenceTest, AKeyThatIsNotSeenContributesNothingEvenAsNan) {
  const Tensor bad_k = column({1, 2, NAN, 4}), bad_v = column({1, 10, 100, NAN});
  run({.q = q, .k = bad_k, .v = bad_v, .causal = Causal::TopLeft});
  EXPECT_EQ(outs()[0], 1);
  EXPECT_EQ(outs()[1], 5.5f);
  EXPECT_TRUE(std::isnan(outs()[2]));
}

}  // namespace
}  // namespace annulus

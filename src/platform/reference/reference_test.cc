// Hand-computed values: what checks the oracle itself.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "platform/reference/ops.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

class ReferenceOpsTest : public ::testing::Test {
 protected:
  Tensor tensor(const Shape& shape, const std::vector<double>& values, DType dtype = DType::F64) {
    Tensor x = Tensor::empty(shape, DType::F64, device);
    for (std::int64_t i = 0; i < x.elements(); ++i)
      x.data<double>()[i] = values[static_cast<std::size_t>(i)];
    return cast(*stream, x, dtype);
  }
  Tensor zeros(const Shape& shape, DType dtype = DType::F64) {
    Tensor x = Tensor::empty(shape, dtype, device);
    device.fill(*stream, x, 0);
    return x;
  }
  void expect_values(const Tensor& got, const std::vector<double>& want, double error = 1e-12) {
    const Tensor x = cast(*stream, contiguous(*stream, got), DType::F64);
    ASSERT_EQ(x.elements(), static_cast<std::int64_t>(want.size()));
    for (std::int64_t i = 0; i < x.elements(); ++i) {
      const double expected = want[static_cast<std::size_t>(i)];
      if (std::isinf(expected))
        EXPECT_EQ(x.data<double>()[i], expected) << i;
      else
        EXPECT_NEAR(x.data<double>()[i], expected, error) << i;
    }
  }

  HostDevice device{2};
  std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace{device};
  const OpTable& ops = reference::ops();
};

TEST_F(ReferenceOpsTest, LinearAddsBiasThenActivates) {
  const Tensor x = tensor({2, 2}, {1, 2, -3, 4}), weight = tensor({3, 2}, {1, 0, 0, 1, 2, -1}),
               bias = tensor({3}, {0.5, 0, -1}, DType::F32);
  Tensor out = zeros({2, 3});
  ops.linear(*stream, workspace, {x, weight, &bias, Activation::Relu, out});
  expect_values(out, {1.5, 2, 0, 0, 4, 0});
}

TEST_F(ReferenceOpsTest, MatmulScalesAndAccumulatesOverAnyStrides) {
  const Tensor a = tensor({1, 2, 2}, {1, 2, 3, 4}),
               b = tensor({1, 2, 2}, {5, 6, 7, 8}).permute({0, 2, 1});
  Tensor out = tensor({1, 2, 2}, {1, 1, 1, 1});
  ops.matmul(*stream, workspace, {a, b, 2.0f, true, out});
  expect_values(out, {1 + 2 * 17, 1 + 2 * 23, 1 + 2 * 39, 1 + 2 * 53});
}

TEST_F(ReferenceOpsTest, LayerNormAppliesWeightBiasScaleAndShiftInThatOrder) {
  const Tensor x = tensor({1, 1, 2}, {1, 3}), weight = tensor({2}, {2, 4}),
               bias = tensor({2}, {1, 1}), shift = tensor({1, 1, 2}, {10, 20}),
               scale = tensor({1, 1, 2}, {1, 2});
  Tensor out = zeros({1, 1, 2});
  ops.layer_norm(*stream, workspace, {x, &weight, &bias, &shift, &scale, 0, out});
  expect_values(out, {(-2 + 1) * 2 + 10, (4 + 1) * 3 + 20});
}

TEST_F(ReferenceOpsTest, RmsNormDividesByTheRootMeanSquareOrTheLength) {
  const Tensor x = tensor({1, 2}, {3, 4}), weight = tensor({2}, {1, 2});
  Tensor out = zeros({1, 2});
  ops.rms_norm(*stream, workspace, {x, &weight, 0, false, Activation::None, out});
  expect_values(out, {3 / std::sqrt(12.5), 8 / std::sqrt(12.5)});
  ops.rms_norm(*stream, workspace, {x, nullptr, 1e-12f, true, Activation::None, out});
  expect_values(out, {3.0 / 5 * std::sqrt(2.0), 4.0 / 5 * std::sqrt(2.0)});
}

TEST_F(ReferenceOpsTest, RopeTurnsPairsOrHalvesAndLeavesTheRest) {
  const Tensor x = tensor({1, 1, 1, 5}, {1, 2, 3, 4, 5});
  const Tensor freqs = tensor({1, 1, 2, 2}, {0, 1, -1, 0});  // a quarter turn, a half turn
  Tensor out = zeros({1, 1, 1, 5});
  ops.rope(*stream, workspace, {x, freqs, RopeLayout::Pairs, nullptr, 0, out});
  expect_values(out, {-2, 1, -3, -4, 5});
  ops.rope(*stream, workspace, {x, freqs, RopeLayout::Halves, nullptr, 0, out});
  expect_values(out, {-3, -2, 1, -4, 5});
}

TEST_F(ReferenceOpsTest, ActivationsHaveTheirTextbookValues) {
  const Tensor x = tensor({2}, {1, -2});
  Tensor out = zeros({2});
  const auto expect = [&](Activation activation, double one, double minus_two) {
    ops.activate(*stream, workspace, {x, activation, out});
    expect_values(out, {one, minus_two}, 1e-9);
  };
  expect(Activation::None, 1, -2);
  expect(Activation::Silu, 0.7310585786, -0.2384058440);
  expect(Activation::GeluTanh, 0.8411919906, -0.0454023059);
  expect(Activation::GeluErf, 0.8413447461, -0.0455002639);
  expect(Activation::QuickGelu, 0.8457957659, -0.0643413769);
  expect(Activation::Relu, 1, 0);
}

TEST_F(ReferenceOpsTest, AddGatedRepeatsAGateOverTheSequence) {
  Tensor x = tensor({1, 2, 2}, {1, 2, 3, 4});
  const Tensor y = tensor({1, 2, 2}, {1, 1, 2, 2}), gate = tensor({1, 1, 2}, {10, 100});
  ops.add_gated(*stream, workspace, {x, y, gate});
  expect_values(x, {11, 102, 23, 204});
}

TEST_F(ReferenceOpsTest, CombineSumsWeightedTermsAndScaleShiftIsAffine) {
  const Tensor x = tensor({2}, {1, 2}), one = tensor({1}, {3}).expand({2});
  Tensor out = zeros({2});
  const Term terms[] = {{2, &x}, {-1, &one}};
  ops.combine(*stream, workspace, {terms, out});
  expect_values(out, {-1, 1});
  ops.scale_shift(*stream, workspace, {x, one, x, out});
  expect_values(out, {4, 8});
}

TEST_F(ReferenceOpsTest, GuideKeepsTheLengthOfTheConditionalPrediction) {
  const Tensor cond = tensor({1, 1, 2}, {3, 4}), uncond = tensor({1, 1, 2}, {3, 0});
  Tensor out = zeros({1, 1, 2});
  ops.guide(*stream, workspace, {cond, uncond, 2, false, out});
  expect_values(out, {3, 8});
  ops.guide(*stream, workspace, {cond, uncond, 2, true, out});
  expect_values(out, {3 * 5 / std::sqrt(73.0), 8 * 5 / std::sqrt(73.0)});
}

TEST_F(ReferenceOpsTest, EmbeddingTakesRowsOfTheTable) {
  Tensor ids = cast(*stream, tensor({1, 2}, {2, 0}), DType::I32);
  const Tensor table = tensor({3, 2}, {1, 2, 3, 4, 5, 6}, DType::BF16);
  Tensor out = zeros({1, 2, 2}, DType::F32);
  ops.embedding(*stream, workspace, {ids, table, out});
  expect_values(out, {5, 6, 1, 2});
}

TEST_F(ReferenceOpsTest, SoftmaxOfARowWithNothingVisibleIsZero) {
  constexpr double kNo = -std::numeric_limits<double>::infinity();
  const Tensor x = tensor({1, 2, 2}, {0, std::log(3.0), 5, 6}),
               mask = tensor({1, 2, 2}, {0, 0, kNo, kNo}, DType::F32);
  Tensor out = zeros({1, 2, 2}), lse = zeros({1, 2}, DType::F32);
  ops.softmax(*stream, workspace, {x, &mask, out, &lse});
  expect_values(out, {0.25, 0.75, 0, 0});
  expect_values(lse, {std::log(4.0), kNo}, 1e-7);
}

TEST_F(ReferenceOpsTest, ConvSeesZerosOutsideThePicture) {
  const Tensor x = tensor({1, 1, 2, 2, 1}, {1, 2, 3, 4});
  const Tensor weight = tensor({1, 1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}),
               bias = tensor({1}, {0.5});
  Tensor out = zeros({1, 1, 2, 2, 1});
  ops.conv(*stream, workspace, {x, weight, &bias, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, out});
  expect_values(out, {77.5, 67.5, 47.5, 37.5});
}

TEST_F(ReferenceOpsTest, CausalConvOfOneFrameUsesTheLastTap) {
  const Tensor x = tensor({1, 2, 1, 1, 1}, {1, 10}), weight = tensor({1, 1, 3, 1, 1}, {2, 3, 5});
  Tensor out = zeros({1, 2, 1, 1, 1});
  ops.conv(*stream, workspace, {x, weight, nullptr, {1, 1, 1}, {2, 0, 0}, {0, 0, 0}, out});
  expect_values(out, {5, 3 + 50});
}

TEST_F(ReferenceOpsTest, UpsampleNearestRepeatsPixels) {
  const Tensor x = tensor({1, 1, 1, 2, 1}, {1, 2});
  Tensor out = zeros({1, 1, 2, 4, 1});
  ops.upsample_nearest(*stream, workspace, {x, 2, out});
  expect_values(out, {1, 1, 2, 2, 1, 1, 2, 2});
}

TEST_F(ReferenceOpsTest, AllFiniteFindsNanAndInfinity) {
  EXPECT_TRUE(ops.all_finite(*stream, workspace, {tensor({2}, {1, 2})}));
  EXPECT_FALSE(ops.all_finite(*stream, workspace, {tensor({2}, {1, std::nan("")})}));
  EXPECT_FALSE(ops.all_finite(*stream, workspace,
                              {tensor({2}, {-std::numeric_limits<double>::infinity(), 2})}));
}

}  // namespace
}  // namespace annulus

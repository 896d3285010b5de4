#include <array>
#include <limits>

#include "platform/cpu/ops_test.h"

namespace annulus::cpu {
namespace {

using ElementwiseTest = OpsTest;
INSTANTIATE_TEST_SUITE_P(Isa, ElementwiseTest, ::testing::ValuesIn(usable_isas()), isa_name);

TEST_P(ElementwiseTest, ActivationsEqualThePlainLoopOverTheirWholeRange) {
  for (const Activation activation : kActivations)
    for (const double gain : {1e-3, 1.0, 5.0, 100.0})
      for (const DType dtype : kDTypes) {
        const Tensor x = random_strided({3, 1501}, dtype, gain);
        expect_close(text_of("activation ", static_cast<int>(activation), " at ", gain),
                     random_strided({3, 1501}, dtype), [&](const OpTable& table, Tensor& out) {
                       table.activate(*stream, workspace, {x, activation, out});
                     });
      }
}

TEST_P(ElementwiseTest, ActivationsOfHugeValuesDoNotOverflow) {
  Tensor x = Tensor::empty({4}, DType::F32, device), out = random({4});
  const std::array<float, 4> values = {-1e30f, 1e30f, -200.0f, 200.0f};
  std::copy(values.begin(), values.end(), x.data<float>());
  for (const Activation activation : kActivations) {
    if (activation == Activation::None) continue;
    ops().activate(*stream, workspace, {x, activation, out});
    const float* const y = out.data<float>();
    EXPECT_NEAR(y[0], 0, 1e-6);
    EXPECT_EQ(y[1], 1e30f);
    EXPECT_NEAR(y[2], 0, 1e-6);
    EXPECT_EQ(y[3], 200.0f);
  }
}

TEST_P(ElementwiseTest, GatedActivateEqualsThePlainLoop) {
  for (const Activation activation : kActivations)
    for (const DType dtype : kDTypes) {
      const Tensor both = random({4, 2, 2 * 37}, dtype, 2);
      const Tensor gate = both.slice(2, 0, 37), up = both.slice(2, 37, 74);
      expect_close("gated_activate", random({4, 2, 37}, dtype),
                   [&](const OpTable& table, Tensor& out) {
                     table.gated_activate(*stream, workspace, {gate, up, activation, out});
                   });
    }
}

TEST_P(ElementwiseTest, AddGatedEqualsThePlainLoop) {
  for (const DType dtype : kDTypes) {
    const Tensor y = random_strided({2, 9, 50}, dtype), one = random({2, 1, 50}, DType::F32),
                 each = random({2, 9, 50}, dtype);
    for (const Tensor* gate : {&one, &each})
      expect_close("add_gated", random_strided({2, 9, 50}), [&](const OpTable& table, Tensor& x) {
        table.add_gated(*stream, workspace, {x, y, *gate});
      });
  }
}

TEST_P(ElementwiseTest, CombineAndScaleShiftTakeAnyStrides) {
  for (const DType dtype : kDTypes) {
    const Tensor a = random({2, 3, 4, 21}, dtype),
                 turned = random({21, 4, 3, 2}, dtype).permute({3, 2, 1, 0}),
                 row = random({21}, dtype).expand({2, 3, 4, 21}),
                 column = random({3, 1, 1}).expand({2, 3, 4, 21});
    const std::array<Term, 4> terms = {Term{2.0f, &a}, Term{-0.5f, &turned}, Term{1.0f, &row},
                                       Term{3.0f, &column}};
    const Tensor outs[] = {random({2, 3, 4, 21}, dtype),
                           random({2, 21, 4, 3}, dtype).permute({0, 3, 2, 1}),
                           random_strided({2, 3, 4, 21})};
    for (const Tensor& to : outs)
      for (std::size_t count = 1; count <= 4; ++count) {
        expect_close("combine", to, [&](const OpTable& table, Tensor& out) {
          table.combine(*stream, workspace, {std::span(terms).first(count), out});
        });
        expect_close("scale_shift", to, [&](const OpTable& table, Tensor& out) {
          table.scale_shift(*stream, workspace, {turned, column, row, out});
        });
      }
  }
}

TEST_P(ElementwiseTest, ManyElementsEqualThePlainLoop) {
  const Tensor x = random({3, 20011}), y = random({3, 20011}, DType::BF16);
  const std::array<Term, 2> terms = {Term{1.0f, &x}, Term{-2.0f, &y}};
  expect_close("combine", random({3, 20011}), [&](const OpTable& table, Tensor& out) {
    table.combine(*stream, workspace, {terms, out});
  });
}

TEST_P(ElementwiseTest, EmbeddingEqualsThePlainLoop) {
  for (const DType dtype : kDTypes) {
    const Tensor ids = cast(*stream, random({2, 3}, DType::F32, 0), DType::I32),
                 table_of_rows = random({5, 37}, dtype);
    expect_close("embedding", random_strided({2, 3, 37}), [&](const OpTable& table, Tensor& out) {
      table.embedding(*stream, workspace, {ids, table_of_rows, out});
    });
  }
}

TEST_P(ElementwiseTest, UpsampleNearestEqualsThePlainLoop) {
  for (const DType dtype : kDTypes)
    for (const int factor : {1, 2, 3}) {
      const Tensor x = random_strided({2, 2, 3, 5, 7}, dtype);
      expect_close("upsample_nearest", random({2, 2, 3 * factor, 5 * factor, 7}, dtype),
                   [&](const OpTable& table, Tensor& out) {
                     table.upsample_nearest(*stream, workspace, {x, factor, out});
                   });
    }
}

TEST_P(ElementwiseTest, AllFiniteFindsOneBadElementAnywhere) {
  for (const DType dtype : kDTypes)
    for (const std::int64_t count : {1, 5, 16, 17, 100000}) {
      const Tensor good = random({2, count}, dtype);
      EXPECT_TRUE(ops().all_finite(*stream, workspace, {good}));
      for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity()}) {
        Tensor x = clone(*stream, good);
        Tensor last = x.slice(0, 1, 2).slice(1, count - 1, count);
        device.fill(*stream, last, bad);
        EXPECT_FALSE(ops().all_finite(*stream, workspace, {x})) << count;
        EXPECT_TRUE(ops().all_finite(*stream, workspace, {x.slice(0, 0, 1)}));
      }
    }
}

TEST_P(ElementwiseTest, NanStaysNanInEveryDtype) {
  for (const DType from : kDTypes)
    for (const DType to : kDTypes) {
      Tensor x = random({1, 20}, from), out = random({1, 20}, to);
      device.fill(*stream, x, std::nan(""));
      const std::array<Term, 1> terms = {Term{1.0f, &x}};
      ops().combine(*stream, workspace, {terms, out});
      const Tensor wide = cast(*stream, out, DType::F64);
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(std::isnan(wide.data<double>()[i]));
    }
}

}  // namespace
}  // namespace annulus::cpu

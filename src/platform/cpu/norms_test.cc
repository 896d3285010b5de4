#include <limits>

#include "platform/cpu/ops_test.h"

namespace annulus::cpu {
namespace {

using NormsTest = OpsTest;
INSTANTIATE_TEST_SUITE_P(Isa, NormsTest, ::testing::ValuesIn(usable_isas()), isa_name);

constexpr std::int64_t kWidths[] = {1, 3, 4, 15, 16, 17, 33, 96, 200};

TEST_P(NormsTest, LayerNormEqualsThePlainLoop) {
  for (const std::int64_t width : kWidths)
    for (const DType dtype : kDTypes)
      for (const DType out_dtype : kDTypes) {
        const Tensor x = random_strided({2, 5, width}, dtype), weight = random({width}, out_dtype),
                     bias = random({width}, dtype), one = random({2, 1, width}, DType::F32),
                     each = random_strided({2, 5, width}, DType::BF16);
        const auto run = [&](const Tensor* w, const Tensor* b, const Tensor* shift,
                             const Tensor* scale) {
          expect_close(text_of("layer_norm over ", width), random_strided({2, 5, width}, out_dtype),
                       [&](const OpTable& table, Tensor& out) {
                         table.layer_norm(*stream, workspace, {x, w, b, shift, scale, 1e-6f, out});
                       });
        };
        run(nullptr, nullptr, nullptr, nullptr);
        run(&weight, &bias, nullptr, nullptr);
        run(nullptr, nullptr, &one, &one);
        run(&weight, nullptr, &each, &one);
      }
}

TEST_P(NormsTest, LayerNormOfValuesFarFromZeroKeepsItsPrecision) {
  Tensor x = random({1, 4, 300});
  for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] += 1000;
  expect_close("layer_norm", random({1, 4, 300}), [&](const OpTable& table, Tensor& out) {
    table.layer_norm(*stream, workspace, {x, nullptr, nullptr, nullptr, nullptr, 1e-6f, out});
  });
}

TEST_P(NormsTest, RmsNormEqualsThePlainLoopInBothFormsWithEveryActivation) {
  for (const std::int64_t width : kWidths)
    for (const DType dtype : kDTypes)
      for (const Activation activation : kActivations)
        for (const bool l2 : {false, true}) {
          const Tensor x = random_strided({3, 2, width}, dtype), weight = random({width}, dtype);
          expect_close(text_of("rms_norm over ", width),
                       random_strided({3, 2, width}, kDTypes[width % 3]),
                       [&](const OpTable& table, Tensor& out) {
                         table.rms_norm(
                             *stream, workspace,
                             {x, l2 ? nullptr : &weight, l2 ? 1e-12f : 1e-6f, l2, activation, out});
                       });
        }
}

TEST_P(NormsTest, NormsMayWriteOverTheirInput) {
  Tensor x = random({1, 7, 40});
  expect_close("rms_norm in place", x, [&](const OpTable& table, Tensor& out) {
    table.rms_norm(*stream, workspace, {out, nullptr, 1e-6f, false, Activation::Silu, out});
  });
  expect_close("layer_norm in place", x, [&](const OpTable& table, Tensor& out) {
    table.layer_norm(*stream, workspace, {out, nullptr, nullptr, nullptr, nullptr, 1e-6f, out});
  });
}

TEST_P(NormsTest, RopeEqualsThePlainLoopInBothLayoutsWithAndWithoutItsNorm) {
  for (const std::int64_t pairs : {1, 4, 7, 8, 16, 24, 33})
    for (const DType dtype : kDTypes)
      for (const RopeLayout layout : {RopeLayout::Pairs, RopeLayout::Halves})
        for (const bool norm : {false, true}) {
          const std::int64_t head_dim = 2 * pairs + (pairs % 3) * 5;
          const Tensor x = random_strided({2, 3, 4, head_dim}, dtype),
                       freqs = random({pairs % 2 + 1, 3, pairs, 2}),
                       weight = random({head_dim}, DType::BF16);
          const auto run = [&](const OpTable& table, const Tensor& from, Tensor& out) {
            table.rope(*stream, workspace,
                       {from, freqs, layout, norm ? &weight : nullptr, 1e-6f, out});
          };
          expect_close(text_of("rope of ", pairs, " pairs in ", head_dim),
                       random_strided({2, 3, 4, head_dim}, dtype),
                       [&](const OpTable& table, Tensor& out) { run(table, x, out); });
          expect_close(text_of("rope of ", pairs, " pairs in place"),
                       random_strided({2, 3, 4, head_dim}, dtype),
                       [&](const OpTable& table, Tensor& out) { run(table, out, out); });
        }
}

TEST_P(NormsTest, GuideEqualsThePlainLoop) {
  for (const std::int64_t width : kWidths)
    for (const bool rescale : {false, true}) {
      const Tensor cond = random_strided({2, 3, width}), uncond = random_strided({2, 3, width});
      expect_close("guide", random({2, 3, width}), [&](const OpTable& table, Tensor& out) {
        table.guide(*stream, workspace, {cond, uncond, 4.5f, rescale, out});
      });
    }
}

TEST_P(NormsTest, SoftmaxEqualsThePlainLoopUnderAnyMask) {
  constexpr float kNo = -std::numeric_limits<float>::infinity();
  for (const std::int64_t width : kWidths)
    for (const DType dtype : kDTypes) {
      const Tensor x = random_strided({2, 5, width}, dtype, 5);
      Tensor mask = random({1, 5, width});
      for (std::int64_t i = 0; i < mask.elements(); i += 3) mask.data<float>()[i] = kNo;
      for (std::int64_t i = 0; i < width; ++i) mask.data<float>()[2 * width + i] = kNo;
      const Tensor whole = mask.expand({2, 5, width});
      Tensor lse = random({2, 5});
      for (const Tensor* m : {static_cast<const Tensor*>(nullptr), &whole}) {
        expect_close("softmax", random_strided({2, 5, width}, dtype),
                     [&](const OpTable& table, Tensor& out) {
                       table.softmax(*stream, workspace, {x, m, out, nullptr});
                     });
        Tensor ignored = random({2, 5, width});
        expect_close("lse", random({5, 2}).permute({1, 0}), [&](const OpTable& table, Tensor& out) {
          Tensor f32 = Tensor::empty({2, 5}, DType::F32, device);
          table.softmax(*stream, workspace, {x, m, ignored, &f32});
          copy(*stream, f32, out);
        });
      }
    }
}

TEST_P(NormsTest, SoftmaxPassesNanOnUnlessItIsHidden) {
  constexpr float kNo = -std::numeric_limits<float>::infinity();
  Tensor x = random({1, 2, 20}), mask = random({1, 2, 20}), out = random({1, 2, 20});
  for (const std::int64_t at : {3, 23}) x.data<float>()[at] = std::nanf("");
  mask.data<float>()[3] = kNo;
  ops().softmax(*stream, workspace, {x, &mask, out, nullptr});
  float sum = 0;
  for (int i = 0; i < 20; ++i) sum += out.data<float>()[i];
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(out.data<float>()[3], 0);
  for (int i = 20; i < 40; ++i) EXPECT_TRUE(std::isnan(out.data<float>()[i]));
}

}  // namespace
}  // namespace annulus::cpu

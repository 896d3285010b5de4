#include <array>

#include "platform/cpu/ops_test.h"

namespace annulus::cpu {
namespace {

using LinearTest = OpsTest;
INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, ::testing::ValuesIn(usable_isas()), isa_name);

struct LinearShape {
  std::int64_t rows, in, out;
};
constexpr LinearShape kShapes[] = {{1, 1, 1},   {1, 7, 5},     {3, 65, 33},   {8, 192, 100},
                                   {9, 64, 64}, {33, 129, 67}, {40, 300, 17}, {2, 31, 130}};

std::string name_of_case(const LinearShape& s, DType x, DType weight, DType out) {
  return text_of("linear ", s.rows, " x ", s.in, " -> ", s.out, ", x ", name_of(x), ", weight ",
                 name_of(weight), ", out ", name_of(out));
}

TEST_P(LinearTest, EqualsThePlainLoopForEveryDtypeOfXWeightAndOut) {
  int turn = 0;
  for (const LinearShape& s : kShapes)
    for (const DType x_dtype : kDTypes)
      for (const DType weight_dtype : kDTypes)
        for (const DType out_dtype : kDTypes) {
          const Activation activation = kActivations[turn % 6];
          const Tensor x = random({s.rows, s.in}, x_dtype),
                       weight = random({s.out, s.in}, weight_dtype, 0.2),
                       bias = random({s.out}, kDTypes[turn % 3]);
          const bool has_bias = ++turn % 4 != 0;
          const auto run = [&](const Tensor& w) {
            return [&, w](const OpTable& table, Tensor& out) {
              table.linear(*stream, workspace, {x, w, has_bias ? &bias : nullptr, activation, out});
            };
          };
          // bf16 arithmetic takes weights of another type rounded to bf16.
          const bool rounds = x_dtype == DType::BF16 && device.has_bf16_products();
          expect_close(name_of_case(s, x_dtype, weight_dtype, out_dtype),
                       random({s.rows, s.out}, out_dtype), run(weight),
                       run(rounds ? cast(*stream, weight, DType::BF16) : weight));
        }
}

TEST_P(LinearTest, EqualsThePlainLoopForStridedRowsAndSlicedWeights) {
  for (const DType dtype : kDTypes) {
    const Tensor x = random_strided({2, 3, 11, 40}, dtype),
                 weight = random_strided({29, 40}, dtype, 0.2);
    expect_close("strided linear", random_strided({2, 3, 11, 29}, dtype),
                 [&](const OpTable& table, Tensor& out) {
                   table.linear(*stream, workspace, {x, weight, nullptr, Activation::None, out});
                 });
  }
}

TEST_P(LinearTest, BlocksOfConvertedOperandsEqualTheWhole) {
  // More than one block of each: 4 MiB of weights, 2 MiB of results, 32 MiB of x.
  const auto run = [&](const char* what, std::int64_t rows, std::int64_t in, std::int64_t outputs,
                       DType x_dtype, DType weight_dtype, DType out_dtype) {
    const Tensor x = random({rows, in}, x_dtype), weight = random({outputs, in}, weight_dtype, 0.1);
    expect_close(what, random({rows, outputs}, out_dtype), [&](const OpTable& table, Tensor& out) {
      table.linear(*stream, workspace, {x, weight, nullptr, Activation::Silu, out});
    });
  };
  run("weights widened in blocks", 70, 2100, 900, DType::F32, DType::BF16, DType::F32);
  run("results stored in blocks", 300, 40, 4000, DType::F16, DType::F32, DType::F16);
  run("x widened in blocks", 3100, 2900, 5, DType::F16, DType::F32, DType::F32);
}

TEST_P(LinearTest, WeightsAreNeverCopiedWhole) {
  const std::int64_t in = 1024, outputs = 8192;  // 16 MiB in bf16, 32 MiB in f32
  const Tensor weight = random({outputs, in}, DType::BF16, 0.1);
  const auto taken = [&](std::int64_t rows, DType dtype) {
    const Tensor x = random({rows, in}, dtype);
    Tensor out = Tensor::empty({rows, outputs}, dtype, device);
    const std::size_t before = device.memory().in_use;
    Workspace fresh(device);
    ops().linear(*stream, fresh, {x, weight, nullptr, Activation::None, out});
    return device.memory().in_use - before;  // what the workspace holds
  };
  EXPECT_LT(taken(100, DType::F32), std::size_t{8} << 20);
  EXPECT_LT(taken(4, DType::F32), std::size_t{1} << 16);
  if (device.has_bf16_products())
    EXPECT_LT(taken(100, DType::BF16), std::size_t{2} << 20);
  else
    EXPECT_LT(taken(100, DType::BF16), std::size_t{10} << 20);
}

TEST_P(LinearTest, NothingInGivesTheBias) {
  const Tensor x = random({3, 0}), weight = random({4, 0}), bias = random({4});
  expect_close("linear of no inputs", random({3, 4}), [&](const OpTable& table, Tensor& out) {
    table.linear(*stream, workspace, {x, weight, &bias, Activation::None, out});
  });
  Tensor none = random({0, 4});
  ops().linear(*stream, workspace,
               {random({0, 5}), random({4, 5}), nullptr, Activation::None, none});
}

TEST_P(LinearTest, MatmulEqualsThePlainLoopForAnyStrides) {
  for (const DType dtype : kDTypes)
    for (const bool accumulate : {false, true}) {
      const Tensor a = random({5, 7, 19}, dtype), b = random({19, 7, 5}, dtype);
      const auto run = [&](const Tensor& left, const Tensor& right) {
        return [&, left, right](const OpTable& table, Tensor& out) {
          table.matmul(*stream, workspace, {left, right, 0.37f, accumulate, out});
        };
      };
      const Tensor heads = a.permute({1, 0, 2}), turned = b.permute({1, 0, 2});
      for (const DType out : kDTypes) {
        expect_close("heads", random({7, 5, 5}, out), run(heads, turned));
        expect_close("transposed", random({7, 5, 5}, out),
                     run(heads, random({7, 5, 19}, dtype).permute({0, 2, 1})));
        expect_close("repeated b", random({7, 5, 5}, out),
                     run(heads, random({1, 19, 5}, dtype).expand({7, 19, 5})));
        expect_close("strided out", random({5, 7, 5}, out).permute({1, 0, 2}), run(heads, turned));
        expect_close("columns of out", random({5, 5, 7}, out).permute({2, 0, 1}),
                     run(heads, turned));
        expect_close("no unit stride", random({7, 5, 5}, out),
                     run(random({5, 19, 7}, dtype).permute({2, 0, 1}), turned));
      }
    }
}

TEST_P(LinearTest, MatmulOfNothingIsZero) {
  const Tensor a = random({2, 3, 0}), b = random({2, 0, 4});
  for (const bool accumulate : {false, true})
    expect_close("matmul", random({2, 3, 4}), [&](const OpTable& table, Tensor& out) {
      table.matmul(*stream, workspace, {a, b, 2.0f, accumulate, out});
    });
}

}  // namespace
}  // namespace annulus::cpu

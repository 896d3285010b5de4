#include "platform/cpu/ops_test.h"

namespace annulus::cpu {
namespace {

using ConvTest = OpsTest;
INSTANTIATE_TEST_SUITE_P(Isa, ConvTest, ::testing::ValuesIn(usable_isas()), isa_name);

using Triple = std::array<std::int64_t, 3>;

struct ConvCase {
  const char* name;
  std::int64_t batch, in, out;
  Triple extent, kernel, stride, before, after;
};

constexpr ConvCase kCases[] = {
    {"3x3", 2, 5, 7, {1, 6, 9}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {"3x3 wide", 1, 32, 48, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {"picture", 1, 3, 16, {1, 9, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {"to a picture", 1, 16, 3, {1, 9, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}},
    {"causal, one frame", 1, 8, 6, {1, 5, 4}, {3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
    {"causal, two frames", 1, 8, 6, {2, 5, 4}, {3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
    {"causal, five frames", 2, 8, 6, {5, 5, 4}, {3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
    {"over frames", 1, 8, 6, {4, 3, 5}, {3, 1, 1}, {1, 1, 1}, {2, 0, 0}, {0, 0, 0}},
    {"stride of frames", 1, 8, 6, {5, 3, 5}, {3, 1, 1}, {2, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {"halved, padded after", 1, 6, 10, {1, 8, 6}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {0, 1, 1}},
    {"halved, odd", 3, 6, 10, {2, 7, 9}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {0, 1, 1}},
    {"pointwise", 2, 20, 11, {2, 3, 5}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
    {"pointwise, strided", 1, 20, 11, {2, 4, 5}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}, {0, 0, 0}},
    {"patches", 1, 3, 24, {2, 8, 12}, {2, 4, 4}, {2, 4, 4}, {0, 0, 0}, {0, 0, 0}},
    {"rows that see only padding", 1, 4, 5, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 3, 0}, {0, 0, 4}},
    {"rows that nobody sees", 1, 4, 5, {3, 7, 8}, {1, 3, 3}, {2, 4, 4}, {0, 0, 0}, {0, 0, 0}},
};

std::int64_t steps(const ConvCase& c, std::size_t axis) {
  return (c.extent[axis] + c.before[axis] + c.after[axis] - c.kernel[axis]) / c.stride[axis] + 1;
}

Shape out_shape(const ConvCase& c) {
  return {c.batch, steps(c, 0), steps(c, 1), steps(c, 2), c.out};
}

TEST_P(ConvTest, EqualsThePlainLoopForEveryDtype) {
  int turn = 0;
  for (const ConvCase& c : kCases)
    for (const DType dtype : kDTypes)
      for (const DType weight_dtype : kDTypes) {
        const DType out_dtype = kDTypes[++turn % 3];
        const Tensor x = random({c.batch, c.extent[0], c.extent[1], c.extent[2], c.in}, dtype),
                     weight = random({c.out, c.in, c.kernel[0], c.kernel[1], c.kernel[2]},
                                     weight_dtype, 0.3),
                     bias = random({c.out}, kDTypes[turn % 2]);
        const bool has_bias = turn % 4 != 0;
        const auto run = [&](const Tensor& w) {
          return [&, w](const OpTable& table, Tensor& out) {
            table.conv(*stream, workspace,
                       {x, w, has_bias ? &bias : nullptr, c.stride, c.before, c.after, out});
          };
        };
        const bool rounds = dtype == DType::BF16 && device.has_bf16_products();
        expect_close(text_of("conv ", c.name, ", x ", name_of(dtype), ", weight ",
                             name_of(weight_dtype), ", out ", name_of(out_dtype)),
                     random(out_shape(c), out_dtype), run(weight),
                     run(rounds ? cast(*stream, weight, DType::BF16) : weight));
      }
}

TEST_P(ConvTest, EqualsThePlainLoopForStridedOperands) {
  for (const ConvCase& c : kCases) {
    const Tensor x = random_strided({c.batch, c.extent[0], c.extent[1], c.extent[2], c.in}),
                 weight = random_strided({c.out, c.in, c.kernel[0], c.kernel[1], c.kernel[2]},
                                         DType::F32, 0.3);
    expect_close(
        text_of("strided conv ", c.name), random_strided(out_shape(c)),
        [&](const OpTable& table, Tensor& out) {
          table.conv(*stream, workspace, {x, weight, nullptr, c.stride, c.before, c.after, out});
        });
  }
}

TEST_P(ConvTest, BandsOfRowsEqualTheWhole) {
  // An x that must be converted, more than 16 MiB of it.
  const Tensor x = random({1, 1, 700, 700, 10}, DType::F16),
               weight = random({6, 10, 1, 3, 3}, DType::F32, 0.3);
  expect_close(
      "conv in bands", random({1, 1, 350, 350, 6}), [&](const OpTable& table, Tensor& out) {
        table.conv(*stream, workspace, {x, weight, nullptr, {1, 2, 2}, {0, 1, 1}, {0, 0, 0}, out});
      });
}

}  // namespace
}  // namespace annulus::cpu

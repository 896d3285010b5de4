#include "platform/ascend/ops.h"

#include <cmath>
#include <functional>
#include <random>

#include "platform/ascend/emulator.h"
#include "platform/reference/ops.h"
#include "tensor/copy.h"

namespace annulus::ascend {
namespace {

// Operands of a case in order, on some device, and where the result goes.
using Operands = std::vector<Tensor>;
using Body = std::function<void(Stream&, Workspace&, const OpTable&, const Operands&, Tensor& out)>;

class AscendOps : public ::testing::Test {
 protected:
  Tensor random(const Shape& shape, DType dtype = DType::F32, double gain = 1) {
    Tensor x = Tensor::empty(shape, DType::F64, b.host);
    std::normal_distribution<double> normal(0, gain);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.data<double>()[i] = normal(engine);
    return cast(*b.host_stream, x, dtype);
  }

  /// The device's result against loops in double. In f32 the error is at most twice that of the
  /// same loops in f32, plus 1e-6; in bf16 and f16 some roundings of the largest value.
  void expect_close(const std::string& what, const Operands& operands, const Shape& shape,
                    DType dtype, const Body& run, double start = 0) {
    Operands sent;
    for (const Tensor& x : operands) sent.push_back(x.defined() ? b.sent(x) : x);
    Tensor exact = Tensor::empty(shape, DType::F64, b.host),
           plain = Tensor::empty(shape, dtype, b.host), out = Tensor::empty(shape, dtype, b.device);
    Workspace workspace(b.host);
    b.host.fill(*b.host_stream, exact, start);
    b.host.fill(*b.host_stream, plain, start);
    b.device.fill(*b.stream, out, start);
    run(*b.host_stream, workspace, reference::ops(), operands, exact);
    run(*b.host_stream, workspace, reference::plain_f32_ops(), operands, plain);
    run(*b.stream, b.workspace, ops(), sent, out);
    const Tensor got = cast(*b.host_stream, b.fetched(out), DType::F64),
                 rough = cast(*b.host_stream, plain, DType::F64);
    double error = 0, plain_error = 0, largest = 0;
    for (std::int64_t i = 0; i < got.elements(); ++i) {
      const double g = got.data<double>()[i], e = exact.data<double>()[i];
      if (g == e || (std::isnan(g) && std::isnan(e))) continue;
      error = std::max(error, std::isnan(g - e) ? HUGE_VAL : std::fabs(g - e));
      plain_error = std::max(plain_error, std::fabs(rough.data<double>()[i] - e));
      largest = std::max(largest, std::fabs(e));
    }
    const bool half = dtype != DType::F32 || operands.front().dtype() != DType::F32;
    const double unit =
        dtype == DType::BF16 || operands.front().dtype() == DType::BF16 ? 0x1p-8 : 0x1p-11;
    EXPECT_LE(error, half ? 3 * unit * largest : 2 * plain_error + 1e-6)
        << what << ", " << name_of(operands.front().dtype()) << " -> " << name_of(dtype);
  }

  const Emulator emulator;
  Bench b;
  std::mt19937_64 engine{1};
};

constexpr std::array kDtypes = {DType::F32, DType::BF16, DType::F16};

TEST_F(AscendOps, LinearWithBiasAndEachActivationEqualsTheLoops) {
  for (const DType dtype : kDtypes)
    for (const Activation activation :
         {Activation::None, Activation::Silu, Activation::GeluTanh, Activation::GeluErf,
          Activation::QuickGelu, Activation::Relu})
      expect_close(
          "linear", {random({2, 5, 33}, dtype), random({17, 33}, DType::BF16, 0.2), random({17})},
          {2, 5, 17}, dtype,
          [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
            ops.linear(s, w, {x[0], x[1], &x[2], activation, out});
          });
}

TEST_F(AscendOps, MatmulScalesAddsAndTakesAnyStrides) {
  for (const bool accumulate : {false, true})
    expect_close(
        "matmul", {random({3, 5, 7}), random({3, 9, 7})}, {3, 5, 9}, DType::F32,
        [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
          ops.matmul(s, w, {x[0], x[1].permute({0, 2, 1}), 0.3f, accumulate, out});
        },
        0.5);
  expect_close("matmul of a repeated factor", {random({1, 5, 7}), random({3, 7, 4})}, {3, 5, 4},
               DType::F32,
               [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
                 ops.matmul(s, w, {x[0].expand({3, 5, 7}), x[1], 1.0f, false, out});
               });
}

TEST_F(AscendOps, NormsEqualTheLoops) {
  for (const DType dtype : kDtypes) {
    expect_close("layer_norm, modulated",
                 {random({2, 5, 24}, dtype), random({24}), random({24}), random({2, 1, 24}),
                  random({2, 5, 24})},
                 {2, 5, 24}, dtype,
                 [](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
                   ops.layer_norm(s, w, {x[0], &x[1], &x[2], &x[3], &x[4], 1e-6f, out});
                 });
    for (const bool l2 : {false, true})
      expect_close(
          "rms_norm", {random({3, 7, 24}, dtype), random({24}, dtype)}, {3, 7, 24}, dtype,
          [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
            ops.rms_norm(s, w, {x[0], l2 ? nullptr : &x[1], 1e-6f, l2, Activation::Silu, out});
          });
  }
}

TEST_F(AscendOps, RopeTurnsNeighboursAndHalvesInPlace) {
  for (const RopeLayout layout : {RopeLayout::Pairs, RopeLayout::Halves})
    for (const std::int64_t pairs : {4, 3})
      expect_close(
          "rope", {random({2, 5, 3, 8}), random({1, 5, pairs, 2}), random({8})}, {2, 5, 3, 8},
          DType::F32,
          [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& x, Tensor& out) {
            copy(s, x[0], out);
            ops.rope(s, w, {out, x[1], layout, &x[2], 1e-6f, out});
          });
}

TEST_F(AscendOps, ElementwiseOperationsEqualTheLoops) {
  const Shape shape{2, 3, 10};
  for (const DType dtype : kDtypes) {
    const Operands x = {random(shape, dtype), random(shape, dtype), random({2, 1, 10}, dtype)};
    expect_close("gated_activate", x, shape, dtype,
                 [](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                   ops.gated_activate(s, w, {o[0], o[1], Activation::Silu, out});
                 });
    expect_close("add_gated", x, shape, dtype,
                 [](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                   copy(s, o[0], out);
                   ops.add_gated(s, w, {out, o[1], o[2]});
                 });
    expect_close(
        "combine", x, shape, dtype,
        [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
          const Tensor wide = o[2].expand(shape);
          const std::array<Term, 3> terms = {Term{2, &o[0]}, Term{-1, &o[1]}, Term{0.5f, &wide}};
          ops.combine(s, w, {terms, out});
        });
    expect_close("scale_shift", x, shape, dtype,
                 [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                   ops.scale_shift(s, w, {o[0], o[2].expand(shape), o[1], out});
                 });
    expect_close("guide", x, shape, dtype,
                 [](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                   ops.guide(s, w, {o[0], o[1], 3.0f, true, out});
                 });
  }
}

TEST_F(AscendOps, SoftmaxOfRowsWithoutAnythingIsZeroWithItsLse) {
  Tensor mask = random({1, 4, 9});
  constexpr float kNo = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < 9; ++i) mask.data<float>()[2 * 9 + i] = kNo;
  mask.data<float>()[5] = kNo;
  Tensor x = random({2, 4, 9}, DType::F32, 4);
  x.data<float>()[5] = std::numeric_limits<float>::quiet_NaN();  // behind the mask
  for (const bool lse : {false, true})
    expect_close("softmax", {x, mask}, lse ? Shape{2, 4} : Shape{2, 4, 9}, DType::F32,
                 [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                   const Tensor seen = o[1].expand({2, 4, 9});
                   Tensor other = Tensor::empty({2, 4, 9}, out.dtype(), s.device());
                   ops.softmax(s, w, {o[0], &seen, lse ? other : out, lse ? &out : nullptr});
                 });
  expect_close("aclnn_softmax", {x, mask}, {2, 4, 9}, DType::F32,
               [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                 const Tensor seen = o[1].expand({2, 4, 9});
                 auto* const run = &ops == &annulus::ascend::ops() ? aclnn_softmax : ops.softmax;
                 run(s, w, {o[0], &seen, out, nullptr});
               });
}

TEST_F(AscendOps, ConvolutionsEqualTheLoops) {
  struct Case {
    Shape x, weight;
    std::array<std::int64_t, 3> stride, before, after;
  };
  const Case cases[] = {{{1, 1, 6, 5, 4}, {3, 4, 3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
                        {{1, 3, 6, 5, 4}, {3, 4, 3, 3, 3}, {1, 1, 1}, {2, 1, 1}, {0, 1, 1}},
                        {{2, 2, 6, 7, 3}, {5, 3, 1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {0, 1, 1}},
                        {{1, 5, 4, 4, 2}, {2, 2, 3, 1, 1}, {2, 1, 1}, {2, 0, 0}, {0, 0, 0}},
                        {{1, 1, 4, 4, 3}, {6, 3, 1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}}};
  for (const DType dtype : {DType::F32, DType::BF16})
    for (const Case& c : cases) {
      Shape out{c.x[0], 0, 0, 0, c.weight[0]};
      for (int axis = 0; axis < 3; ++axis) {
        const auto i = static_cast<std::size_t>(axis);
        out = out.with(
            1 + axis,
            (c.x[1 + axis] + c.before[i] + c.after[i] - c.weight[2 + axis]) / c.stride[i] + 1);
      }
      expect_close("conv", {random(c.x, dtype), random(c.weight, dtype), random({c.weight[0]})},
                   out, dtype,
                   [&](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& to) {
                     ops.conv(s, w, {o[0], o[1], &o[2], c.stride, c.before, c.after, to});
                   });
    }
}

TEST_F(AscendOps, UpsampleAndEmbeddingMoveElementsExactly) {
  expect_close("upsample_nearest", {random({1, 2, 3, 2, 5})}, {1, 2, 6, 4, 5}, DType::F32,
               [](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                 ops.upsample_nearest(s, w, {o[0], 2, out});
               });
  Tensor ids = Tensor::empty({2, 3}, DType::I32, b.host);
  for (std::int32_t i = 0; i < 6; ++i) ids.data<std::int32_t>()[i] = i * 7 % 11;
  expect_close("embedding", {random({11, 8}, DType::BF16), ids}, {2, 3, 8}, DType::F32,
               [](Stream& s, Workspace& w, const OpTable& ops, const Operands& o, Tensor& out) {
                 ops.embedding(s, w, {o[1], o[0], out});
               });
}

TEST_F(AscendOps, AllFiniteFindsNanAndInfinityAndCountsItsWait) {
  const Traffic before = b.device.traffic();
  EXPECT_TRUE(all_finite(*b.stream, b.workspace, {b.sent(random({5, 7}))}));
  EXPECT_EQ(b.device.traffic().to_host, before.to_host + 1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Tensor x = random({5, 7});
    x.data<float>()[13] = bad;
    EXPECT_FALSE(all_finite(*b.stream, b.workspace, {b.sent(x)}));
  }
}

TEST_F(AscendOps, NothingElseWaitsForTheDevice) {
  Tensor x = b.sent(random({2, 5, 16}));
  const Tensor weight = b.sent(random({16, 16})), mod = b.sent(random({2, 1, 16}));
  const Traffic before = b.device.traffic();
  ops().linear(*b.stream, b.workspace, {x, weight, nullptr, Activation::Silu, x});
  ops().layer_norm(*b.stream, b.workspace, {x, nullptr, nullptr, &mod, &mod, 1e-6f, x});
  ops().add_gated(*b.stream, b.workspace, {x, x, mod});
  EXPECT_EQ(b.device.traffic().to_host, before.to_host);
  EXPECT_EQ(b.device.traffic().waits, before.waits);
  EXPECT_EQ(b.device.traffic().to_device, before.to_device);
}

}  // namespace
}  // namespace annulus::ascend

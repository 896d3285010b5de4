#include <cstring>
#include <functional>

#include "platform/cpu/ops_test.h"

namespace annulus::cpu {
namespace {

class ThreadsTest : public OpsTest {
 protected:
  using Call = std::function<void(Stream&, Workspace&, Tensor& out)>;

  // The result of three threads is that of one, bit by bit: rows and tiles are shared, never split.
  void expect_same_bits(const char* what, const Shape& shape, DType dtype, const Call& call) {
    Tensor one = Tensor::empty(shape, dtype, device), three = Tensor::empty(shape, dtype, device);
    device.fill(*stream, one, 0.5);
    device.fill(*stream, three, 0.5);
    call(*stream, workspace, one);
    CpuDevice other(3, GetParam());
    const auto other_stream = other.make_stream();
    Workspace other_workspace(other);
    call(*other_stream, other_workspace, three);
    EXPECT_EQ(std::memcmp(one.address(), three.address(), one.bytes()), 0) << what;
  }
};
INSTANTIATE_TEST_SUITE_P(Isa, ThreadsTest, ::testing::Values(usable_isas().back()), isa_name);

TEST_P(ThreadsTest, RowsAndTilesOfThreeThreadsAreThoseOfOne) {
  const Tensor x = random({3, 101, 300}), y = random({3, 101, 300}, DType::BF16),
               weight = random({300}), gate = random({3, 1, 300}), heads = random({1, 303, 25, 12}),
               freqs = random({1, 303, 6, 2}),
               ids = cast(*stream, random({3, 101}, DType::F32, 0), DType::I32),
               table = random({4, 300}), few = random({5, 3000}), wide = random({900, 3000}),
               pixels = random({1, 2, 30, 31, 40});
  const OpTable& op = ops();
  const Shape& shape = x.shape();
  expect_same_bits("layer_norm", shape, DType::BF16, [&](Stream& s, Workspace& w, Tensor& out) {
    op.layer_norm(s, w, {x, &weight, &weight, &gate, &gate, 1e-6f, out});
  });
  expect_same_bits("rms_norm", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.rms_norm(s, w, {x, &weight, 1e-6f, false, Activation::Silu, out});
  });
  expect_same_bits("rope", heads.shape(), DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.rope(s, w, {heads, freqs, RopeLayout::Halves, nullptr, 0, out});
  });
  expect_same_bits("activate", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.activate(s, w, {x, Activation::GeluErf, out});
  });
  expect_same_bits("gated_activate", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.gated_activate(s, w, {x, y, Activation::Silu, out});
  });
  expect_same_bits("add_gated", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.add_gated(s, w, {out, y, gate});
  });
  expect_same_bits("scale_shift", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.scale_shift(s, w, {x, y, x, out});
  });
  expect_same_bits("guide", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.guide(s, w, {x, y, 4.0f, true, out});
  });
  expect_same_bits("embedding", shape, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.embedding(s, w, {ids, table, out});
  });
  expect_same_bits("softmax", shape, DType::BF16, [&](Stream& s, Workspace& w, Tensor& out) {
    op.softmax(s, w, {x, nullptr, out, nullptr});
  });
  expect_same_bits("a few rows", {5, 900}, DType::F32, [&](Stream& s, Workspace& w, Tensor& out) {
    op.linear(s, w, {few, wide, nullptr, Activation::Silu, out});
  });
  expect_same_bits("upsample_nearest", {1, 2, 60, 62, 40}, DType::F32,
                   [&](Stream& s, Workspace& w, Tensor& out) {
                     op.upsample_nearest(s, w, {pixels, 2, out});
                   });
}

// oneDNN may split sums by its threads: to rounding, not to the bit.
TEST_P(ThreadsTest, ProductsAndConvolutionsOfThreeThreadsEqualThePlainLoop) {
  CpuDevice other(3, GetParam());
  const auto other_stream = other.make_stream();
  Workspace other_workspace(other);
  const Tensor x = random({70, 90}), narrow = random({70, 90}, DType::BF16),
               weight = random({110, 90}, DType::BF16), pixels = random({1, 1, 12, 13, 40}),
               kernel = random({24, 40, 1, 3, 3});
  for (const Tensor* from : {&x, &narrow})
    expect_close("linear", random({70, 110}), [&](const OpTable& table, Tensor& out) {
      table.linear(*other_stream, other_workspace, {*from, weight, nullptr, Activation::None, out});
    });
  expect_close("conv", random({1, 1, 12, 13, 24}), [&](const OpTable& table, Tensor& out) {
    table.conv(*other_stream, other_workspace,
               {pixels, kernel, nullptr, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, out});
  });
  EXPECT_FALSE(ops().all_finite(*other_stream, other_workspace,
                                {cast(*stream, random({900, 900}, DType::F32, 1e39), DType::F32)}));
}

}  // namespace
}  // namespace annulus::cpu

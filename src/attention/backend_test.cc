#include "attention/backend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attention/merge.h"
#include "attention/random_case.h"
#include "attention/reference.h"

namespace annulus {
namespace {

// The reference's answers through the default fold().
class DefaultFold final : public AttentionBackend {
 public:
  std::string_view name() const noexcept override { return "default fold"; }
  std::optional<std::string> refusal(const AttentionSpec&) const override { return std::nullopt; }
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    reference_attention().run(stream, workspace, args, out, lse);
  }
};

class BackendTest : public ::testing::Test {
 protected:
  HostDevice device{1};
  std::unique_ptr<Stream> stream = device.make_stream();
};

TEST_F(BackendTest, FoldingPiecesAndFinishingEqualsTheWhole) {
  const DefaultFold backend;
  int tried = 0;
  for (std::uint64_t seed = 1; tried < 60; ++seed) {
    const RandomCase c(device, seed);
    if (!c.splits_by_key()) continue;
    ++tried;
    EXPECT_EQ(c.compare(c.fold(backend, 1 + static_cast<int>(seed % 4)),
                        c.run(reference_attention(), DType::F32), DType::F32),
              "")
        << "seed " << seed << ", " << c.text();
  }
}

TEST_F(BackendTest, NothingSeenFinishesAsZeroAndMinusInfinity) {
  const RunningAttention nothing = nothing_seen(*stream, 2, 3, 4, 5);
  Tensor out = Tensor::empty({2, 3, 4, 5}, DType::BF16, device);
  Tensor lse = Tensor::empty({2, 4, 3}, DType::F32, device);
  finish(*stream, nothing, out, &lse);
  for (std::int64_t n = 0; n < out.elements(); ++n) EXPECT_EQ(out.data<Bf16>()[n].bits, 0);
  for (std::int64_t n = 0; n < lse.elements(); ++n)
    EXPECT_EQ(lse.data<float>()[n], -std::numeric_limits<float>::infinity());
}

TEST_F(BackendTest, PackedSequencesFoldIntoARunningResultOfBatchOne) {
  for (std::uint64_t seed = 1, tried = 0; tried < 10; ++seed) {
    const RandomCase c(device, seed);
    if (!c.packed()) continue;
    ++tried;
    const AttentionArgs args = c.args();
    const Shape& q = args.q.shape();
    RunningAttention running = nothing_seen(*stream, 1, q[0], q[1], q[2]);
    Workspace workspace(device);
    DefaultFold().fold(*stream, workspace, args, running);
    Tensor out = Tensor::empty({1, q[0], q[1], q[2]}, DType::F32, device);
    Tensor lse = Tensor::empty({1, q[1], q[0]}, DType::F32, device);
    finish(*stream, running, out, &lse);
    AttentionResult got;
    got.out.assign(out.data<float>(), out.data<float>() + out.elements());
    got.lse.assign(lse.data<float>(), lse.data<float>() + lse.elements());
    EXPECT_EQ(c.compare(got, c.run(reference_attention(), DType::F32), DType::F32), "")
        << "seed " << seed << ", " << c.text();
  }
}

TEST_F(BackendTest, MergedPartsEqualTheWhole) {
  for (std::uint64_t seed = 1, tried = 0; tried < 30; ++seed) {
    const RandomCase c(device, seed);
    if (!c.splits_by_key() || c.args().k.shape()[1] < 2 || c.args().mask || c.args().kv_lengths)
      continue;
    ++tried;
    const AttentionArgs args = c.args();
    const std::int64_t keys = args.k.shape()[1],
                       cut = 1 + static_cast<std::int64_t>(seed) % (keys - 1);
    const Shape& q = args.q.shape();
    Tensor out[2], lse[2];
    Workspace workspace(device);
    for (int part = 0; part < 2; ++part) {
      const std::int64_t begin = part == 0 ? 0 : cut, end = part == 0 ? cut : keys;
      const Tensor k = args.k.slice(1, begin, end), v = args.v.slice(1, begin, end);
      out[part] = Tensor::empty(q, DType::F32, device);
      lse[part] = Tensor::empty({q[0], q[2], q[1]}, DType::F32, device);
      reference_attention().run(*stream, workspace,
                                {.q = args.q, .k = k, .v = v, .scale = args.scale}, out[part],
                                &lse[part]);
    }
    merge_partial(2, out[0].view<float, 4>(), lse[0].view<float, 3>(),
                  std::as_const(out[1]).view<float, 4>(), std::as_const(lse[1]).view<float, 3>());
    AttentionResult got;
    got.out.assign(out[0].data<float>(), out[0].data<float>() + out[0].elements());
    got.lse.assign(lse[0].data<float>(), lse[0].data<float>() + lse[0].elements());
    EXPECT_EQ(c.compare(got, c.run(reference_attention(), DType::F32), DType::F32), "")
        << "seed " << seed << ", " << c.text();
  }
}

TEST_F(BackendTest, ARunningResultOfAnotherShapeIsRefused) {
  const RandomCase c(device, 3);
  Workspace workspace(device);
  RunningAttention running = nothing_seen(*stream, 9, 9, 9, 9);
  EXPECT_THROW(DefaultFold().fold(*stream, workspace, c.args(), running), Error);
}

}  // namespace
}  // namespace annulus

#include "attention/proof.h"

#include <gtest/gtest.h>

#include "attention/reference.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

// The reference with something done to its answer.
class Altered final : public AttentionBackend {
 public:
  enum class How { Right, ScaledOut, HalvedLse, MaskIgnored, Throws };
  explicit Altered(How how) : how_(how) {}
  std::string_view name() const noexcept override { return "altered"; }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override {
    if (spec.window) return "no windows";
    return std::nullopt;
  }
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    ++runs;
    require(how_ != How::Throws, ErrorCode::DeviceFailure, "kernel: wanted to run, found a fault");
    AttentionArgs given = args;
    if (how_ == How::MaskIgnored && args.k.shape()[1] > 512) given.mask = nullptr;
    reference_attention().run(stream, workspace, given, out, lse);
    for (std::int64_t i = 0; how_ == How::ScaledOut && i < out.elements(); ++i)
      out.data<float>()[i] *= 1.01f;
    for (std::int64_t i = 0; how_ == How::HalvedLse && lse != nullptr && i < lse->elements(); ++i)
      lse->data<float>()[i] /= 2;
  }
  mutable int runs = 0;

 private:
  How how_;
};

std::string why(Altered::How how, const AttentionSpec& spec) {
  HostDevice device(1);
  const Altered backend(how);
  return ProvenAttention(backend, device).refusal(spec).value_or("");
}

constexpr AttentionSpec kSpec = {.heads = 6, .kv_heads = 2, .head_dim = 24, .dtype = DType::F32};

TEST(Proof, ARightBackendServesEverySpec) {
  for (int bits = 0; bits < 64; bits += 7) {
    AttentionSpec spec = kSpec;
    spec.kv_lengths = (bits & 1) != 0, spec.varlen = (bits & 2) != 0, spec.lse = (bits & 4) != 0;
    spec.bool_mask = (bits & 8) != 0, spec.additive_mask = (bits & 24) == 16;
    spec.causal = (bits & 32) != 0 ? Causal::BottomRight : Causal::TopLeft;
    spec.diagonals = (bits & 32) != 0;
    EXPECT_EQ(why(Altered::How::Right, spec), "") << to_string(spec);
  }
}

TEST(Proof, AWrongResultIsARefusalWithErrorAndBound) {
  const std::string text = why(Altered::How::ScaledOut, kSpec);
  EXPECT_NE(text.find("failed its proof: wrong out for"), std::string::npos) << text;
  EXPECT_NE(text.find("bound"), std::string::npos);
}

TEST(Proof, AWrongLseMattersOnlyWhereItIsAskedFor) {
  EXPECT_EQ(why(Altered::How::HalvedLse, kSpec), "");
  AttentionSpec spec = kSpec;
  spec.lse = true;
  EXPECT_NE(why(Altered::How::HalvedLse, spec).find("wrong lse"), std::string::npos);
}

TEST(Proof, AMaskThatIsIgnoredPastKey512IsFound) {
  AttentionSpec spec = kSpec;
  EXPECT_EQ(why(Altered::How::MaskIgnored, spec), "");
  spec.bool_mask = true;
  EXPECT_NE(why(Altered::How::MaskIgnored, spec).find("513 keys"), std::string::npos);
}

TEST(Proof, WhatTheBackendThrowsIsTheReason) {
  EXPECT_NE(why(Altered::How::Throws, kSpec).find("found a fault"), std::string::npos);
}

TEST(Proof, IsRunOnceForASpecAndNotForOneThatIsRefused) {
  HostDevice device(1);
  const Altered backend(Altered::How::Right);
  const ProvenAttention proven(backend, device);
  AttentionSpec spec = kSpec;
  spec.window = true;
  EXPECT_EQ(proven.refusal(spec), "no windows");
  EXPECT_EQ(backend.runs, 0);
  EXPECT_EQ(proven.refusal(kSpec), std::nullopt);
  const int runs = backend.runs;
  EXPECT_EQ(proven.refusal(kSpec), std::nullopt);
  EXPECT_EQ(backend.runs, runs);
}

}  // namespace
}  // namespace annulus

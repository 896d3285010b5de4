#include "platform/ascend/ascend_attention.h"

#include "attention/random_case.h"
#include "attention/reference.h"
#include "attention/selection.h"
#include "platform/ascend/emulator.h"
#include "platform/ascend/ops.h"

namespace annulus::ascend {
namespace {

const AttentionBackend& backend_of(const Platform& platform, std::string_view name) {
  for (const AttentionBackend* backend : platform.attention())
    if (backend->name() == name) return *backend;
  throw Error(ErrorCode::NotFound, "no such backend");
}

bool is_poisoned(const RandomCase& c) {
  return c.text().find("NaN or Inf") != std::string::npos;
}

// One of -3.3e38, as it may be here, loses the number of keys in an LSE, and so in a merge.
bool has_added_mask(const AttentionArgs& args) {
  return args.mask != nullptr && args.mask->dtype() != DType::Bool;
}

// All calls that the backend, which proves nothing here, does not refuse, up to `tried` of them.
void expect_as_the_reference(Emulator::Settings settings, int tried) {
  const Emulator emulator(settings);
  Bench b;
  const FiaAttention backend(Cann::shared());
  const Sent sent(b, backend);
  for (std::uint64_t seed = 0; tried > 0; ++seed) {
    const RandomCase c(b.host, seed);
    if (is_poisoned(c) || backend.refusal(spec_of(c.args(), true))) continue;
    --tried;
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    const std::string wrong = c.compare(c.run(sent, c.dtype()), expected, c.dtype());
    ASSERT_EQ(wrong, "") << "seed " << seed << ": " << c.text();
  }
}

TEST(Fia, EqualsTheReferenceOnRandomCalls) {
  expect_as_the_reference({}, 100);
}

TEST(Fia, EqualsTheReferenceOnEachProcessor) {
  for (const char* soc : {"Ascend910_9391", "Ascend950PR_9599"})
    expect_as_the_reference({{"FAKE_CANN_SOC", soc}}, 20);
}

TEST(Fia, RowsWithoutKeysAreNeutralWhateverStandsForThem) {
  expect_as_the_reference({{"FAKE_CANN_NO_KEYS", "lowest"}}, 25);
  expect_as_the_reference({{"FAKE_CANN_NO_KEYS", "unwritten"}}, 25);
}

TEST(Fia, IsCalledInTheVersionThatTheProcessorHas) {
  const std::pair<const char*, const char*> wanted[] = {
      {"Ascend910B3", "aclnnFusedInferAttentionScoreV2"},
      {"Ascend910_9391", "aclnnFusedInferAttentionScoreV2"},
      {"Ascend950PR_9599", "aclnnFusedInferAttentionScoreV5"}};
  for (const auto& [soc, function] : wanted) {
    const Emulator emulator({{"FAKE_CANN_SOC", soc}});
    Bench b;
    const AttentionBackend& fia = backend_of(*b.platform, "fia");
    const Tensor x = Tensor::empty({1, 5, 2, 32}, DType::F16, b.device);
    Tensor out = Tensor::empty(x.shape(), DType::F16, b.device);
    fia.run(*b.stream, b.workspace, {.q = x, .k = x, .v = x}, out, nullptr);
    b.device.synchronize(*b.stream, 60000);
    EXPECT_EQ(emulator.calls(function), 1u) << soc;
  }
}

TEST(Fia, AnOldReleaseIsCalledInTheVersionItHasAndOneTooOldIsNamed) {
  {
    const Emulator emulator({{"ASCEND_HOME_PATH", ANNULUS_FAKE_CANN_OLD}});
    EXPECT_EQ(fia_version(*Cann::shared()).number, 1);
  }
  const Emulator emulator(
      {{"ASCEND_HOME_PATH", ANNULUS_FAKE_CANN_OLD}, {"FAKE_CANN_SOC", "Ascend950PR_9599"}});
  const FiaVersion version = fia_version(*Cann::shared());
  EXPECT_EQ(version.number, 0);
  EXPECT_NE(version.refusal.find("lacks aclnnFusedInferAttentionScoreV5"), std::string::npos);
}

TEST(Fia, RefusesEachLimitWithItsReason) {
  const Emulator emulator;
  Bench b;
  const AttentionBackend& fia = backend_of(*b.platform, "fia");
  const AttentionSpec fine = {.heads = 8, .head_dim = 128, .dtype = DType::BF16, .lse = true};
  EXPECT_EQ(fia.refusal(fine), std::nullopt);
  const auto why = [&](auto change) {
    AttentionSpec spec = fine;
    change(spec);
    return fia.refusal(spec).value_or("");
  };
  EXPECT_NE(why([](auto& s) { s.dtype = DType::F32; }).find("not f32"), std::string::npos);
  EXPECT_NE(why([](auto& s) { s.head_dim = 528; }).find("head_dim"), std::string::npos);
  EXPECT_NE(why([](auto& s) { s.heads = 257; }).find("256 heads"), std::string::npos);
  EXPECT_NE(why([](auto& s) { s.heads = 65, s.kv_heads = 1; }).find("64"), std::string::npos);
  EXPECT_NE(why([](auto& s) { s.additive_mask = true; }).find("additive"), std::string::npos);
}

TEST(Fia, IsAbsentOn310PWhereOtherBackendsGoOn) {
  const Emulator emulator({{"FAKE_CANN_SOC", "Ascend310P3"}});
  Bench b;
  const AttentionSpec spec = {.heads = 2, .head_dim = 64, .dtype = DType::F16};
  EXPECT_NE(backend_of(*b.platform, "fia").refusal(spec).value_or("").find("Ascend310P3"),
            std::string::npos);
  EXPECT_EQ(backend_of(*b.platform, "softmax").refusal(spec), std::nullopt);
  EXPECT_FALSE(b.platform->supports(DType::BF16));
  EXPECT_EQ(b.platform->default_ring_attention_backend()->name(), "math");
}

// Reported of real stacks: calls that succeed with a wrong result.
TEST(AscendAttention, AReportedDefectOfTheStackIsFoundAndAnotherBackendServes) {
  const auto chosen = [](const std::string& defect, AttentionSpec spec) {
    const Emulator emulator({{"FAKE_CANN_DEFECT", defect}});
    Bench b;
    const AttentionSelection selection{
        .order = b.platform->attention(),
        .ring_default = b.platform->default_ring_attention_backend()};
    return std::string(selection.choose("layer", spec).backend->name());
  };
  AttentionSpec spec = {.heads = 2, .head_dim = 32, .dtype = DType::F16};
  EXPECT_EQ(chosen("", spec), "fia");
  EXPECT_EQ(chosen("stale_out", spec), "softmax");
  EXPECT_EQ(chosen("wrong_lse", spec), "fia");
  spec.lse = true;
  EXPECT_EQ(chosen("wrong_lse", spec), "math");
  spec.varlen = true;
  EXPECT_EQ(chosen("fp16_tnd_mean", spec), "fia");  // which does not use that layout
  spec = {.heads = 2, .head_dim = 32, .dtype = DType::F16, .bool_mask = true, .lse = true};
  EXPECT_EQ(chosen("", spec), "fia");
  EXPECT_EQ(chosen("bool_mask_512", spec), "math");
}

TEST(AscendAttention, MathEqualsTheReferenceOnRandomCalls) {
  const Emulator emulator;
  Bench b;
  const ComposedAttention composed{MathAttention(ops())};
  int tried = 40;
  for (std::uint64_t seed = 0; tried > 0; ++seed, --tried) {
    const RandomCase c(b.host, seed);
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    const Sent math(b, composed);
    const std::string wrong = c.compare(c.run(math, c.out_dtype()), expected, c.out_dtype());
    ASSERT_EQ(wrong, "") << "math, seed " << seed << ": " << c.text();
  }
}

TEST(AscendAttention, SoftmaxHasNoLseAndARingTakesFia) {
  const Emulator emulator;
  Bench b;
  AttentionSpec spec = {.heads = 2, .head_dim = 64, .dtype = DType::BF16};
  const AttentionBackend& softmax = backend_of(*b.platform, "softmax");
  EXPECT_EQ(softmax.refusal(spec), std::nullopt);
  spec.lse = true;
  EXPECT_EQ(softmax.refusal(spec), "returns no log-sum-exp");
  EXPECT_EQ(b.platform->default_ring_attention_backend()->name(), "fia");
  std::string order;
  for (const AttentionBackend* backend : b.platform->attention())
    order += std::string(backend->name()) + " ";
  EXPECT_EQ(order, "fia softmax math ");
}

// A ring's folds: keys in pieces, each a call, on the device to the end.
TEST(AscendAttention, FoldingPiecesOnTheDeviceEqualsTheWhole) {
  for (const bool fused : {true, false}) {
    const Emulator emulator;
    Bench b;
    const FiaAttention fia(Cann::shared());
    const ComposedAttention math{MathAttention(ops())};
    const AttentionBackend& backend = fused ? static_cast<const AttentionBackend&>(fia)
                                            : static_cast<const AttentionBackend&>(math);
    int tried = 0;
    for (std::uint64_t seed = 0; tried < 12; ++seed) {
      const RandomCase c(b.host, seed);
      const AttentionArgs args = c.args();
      if (!c.splits_by_key() || is_poisoned(c) || args.kv_lengths != nullptr ||
          has_added_mask(args) || backend.refusal(spec_of(args, true)))
        continue;
      ++tried;
      const Shape& shape = args.q.shape();
      const std::int64_t keys = args.k.shape()[1];
      const Tensor q = b.sent(args.q), k = b.sent(args.k), v = b.sent(args.v),
                   mask = args.mask != nullptr ? b.sent(*args.mask) : Tensor();
      RunningAttention running = nothing_seen(*b.stream, shape[0], shape[1], shape[2], shape[3]);
      constexpr int kParts = 3;
      for (int part = 0; part < kParts; ++part) {
        const std::int64_t begin = keys * part / kParts, end = keys * (part + 1) / kParts;
        const Tensor k_part = k.slice(1, begin, end), v_part = v.slice(1, begin, end);
        const Tensor mask_part = mask.defined() ? mask.slice(3, begin, end) : Tensor();
        backend.fold(*b.stream, b.workspace,
                     {.q = q,
                      .k = k_part,
                      .v = v_part,
                      .scale = args.scale,
                      .mask = mask.defined() ? &mask_part : nullptr},
                     running);
      }
      Tensor out = Tensor::empty(shape, DType::F32, b.device),
             lse = Tensor::empty(running.max.shape(), DType::F32, b.device);
      backend.finish(*b.stream, b.workspace, running, out, &lse);
      const Tensor got = b.fetched(out), got_lse = b.fetched(lse);
      AttentionResult result;
      result.out.assign(got.data<float>(), got.data<float>() + got.elements());
      result.lse.assign(got_lse.data<float>(), got_lse.data<float>() + got_lse.elements());
      ASSERT_EQ(c.compare(result, c.run(reference_attention(), DType::F32), args.q.dtype()), "")
          << backend.name() << ", seed " << seed << ": " << c.text();
    }
  }
}

}  // namespace
}  // namespace annulus::ascend

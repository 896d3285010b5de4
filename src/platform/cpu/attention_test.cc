#include <gtest/gtest.h>

#include "attention/random_case.h"
#include "attention/reference.h"
#include "attention/selection.h"
#include "platform/cpu/cpu_device.h"
#include "platform/platform.h"

namespace annulus {
namespace {

// A backend that has no LSE, with the reference's in its place.
class WithReferenceLse final : public AttentionBackend {
 public:
  explicit WithReferenceLse(const AttentionBackend& inner) : inner_(inner) {}
  std::string_view name() const noexcept override { return inner_.name(); }
  std::optional<std::string> refusal(const AttentionSpec&) const override { return std::nullopt; }
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    Tensor ignored = Tensor::empty(args.q.shape(), args.q.dtype(), stream.device());
    reference_attention().run(stream, workspace, args, ignored, lse);
    inner_.run(stream, workspace, args, out, nullptr);
  }

 private:
  const AttentionBackend& inner_;
};

class Attention : public ::testing::Test {
 protected:
  std::unique_ptr<Platform> platform = make_platform("cpu", {.threads = 1});
  HostDevice& device = dynamic_cast<HostDevice&>(*platform->devices().front());
};

TEST_F(Attention, EveryBackendEqualsTheReferenceOnRandomCalls) {
  for (const AttentionBackend* backend : platform->attention())
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      const RandomCase c(device, seed);
      if (backend->refusal(spec_of(c.args(), false))) continue;
      const bool lse = !backend->refusal(spec_of(c.args(), true)).has_value();
      const WithReferenceLse completed(*backend);
      const AttentionResult expected = c.run(reference_attention(), DType::F32);
      const AttentionResult got =
          c.run(lse ? *backend : static_cast<const AttentionBackend&>(completed), c.out_dtype());
      const double score_error = backend->approximate() ? c.int8_score_error() : 0;
      ASSERT_EQ(c.compare(got, expected, c.out_dtype(), score_error), "")
          << backend->name() << ", seed " << seed << ": " << c.text();
    }
}

TEST_F(Attention, FlashIsFirstAndWhatARingTakes) {
  ASSERT_EQ(platform->attention().size(), 4u);
  EXPECT_EQ(platform->attention()[0]->name(), "flash");
  EXPECT_EQ(platform->attention()[1]->name(), "onednn");
  EXPECT_EQ(platform->attention()[2]->name(), "math");
  EXPECT_EQ(platform->attention()[3]->name(), "flash_int8");
  EXPECT_EQ(platform->default_ring_attention_backend(), platform->attention()[0]);
}

TEST_F(Attention, AnApproximateBackendServesByNameOnly) {
  const AttentionBackend& int8 = *platform->attention()[3];
  ASSERT_TRUE(int8.approximate());
  AttentionSelection selection;
  const std::array<const AttentionBackend*, 1> only = {&int8};
  selection.order = only;
  const AttentionSpec spec = {.heads = 1, .kv_heads = 1, .head_dim = 8};
  EXPECT_THROW(selection.choose("layer", spec), Error);
  selection.backend = "flash_int8";
  EXPECT_EQ(selection.choose("layer", spec).backend, &int8);
}

TEST_F(Attention, OneDnnRefusesARingByName) {
  const AttentionSpec spec = {.heads = 1, .kv_heads = 1, .head_dim = 8, .lse = true};
  EXPECT_EQ(platform->attention()[1]->refusal(spec), "returns no log-sum-exp");
}

}  // namespace
}  // namespace annulus

#include "attention/selection.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

// A backend that only answers whether it would serve.
class Named final : public AttentionBackend {
 public:
  Named(std::string name, bool lse, bool masks)
      : name_(std::move(name)), lse_(lse), masks_(masks) {}
  std::string_view name() const noexcept override { return name_; }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override {
    if (spec.lse && !lse_) return "returns no log-sum-exp";
    if (spec.bool_mask && !masks_) return "takes no boolean mask";
    return std::nullopt;
  }
  void run(Stream&, Workspace&, const AttentionArgs&, Tensor&, Tensor*) const override {}

 private:
  std::string name_;
  bool lse_, masks_;
};

class SelectionTest : public ::testing::Test {
 protected:
  AttentionSelection selection() const {
    AttentionSelection s;
    s.order = order;
    s.ring_default = &fused;
    s.component = "transformer";
    s.platform = "toy";
    return s;
  }
  static Error error_of(const AttentionSelection& s, const AttentionSpec& spec) {
    try {
      s.choose("transformer_blocks.3", spec);
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "wanted an error";
    return Error(ErrorCode::NotFound, "");
  }
  static bool holds(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  }

  Named plain{"plain", false, true}, fused{"fused", true, false}, slow{"slow", true, true};
  std::vector<const AttentionBackend*> order = {&plain, &fused, &slow};
  AttentionSpec spec{.heads = 4, .head_dim = 8};
};

TEST_F(SelectionTest, WithoutWishesThePlatformsFirstAbleBackendServes) {
  EXPECT_EQ(selection().choose("x", spec).backend, &plain);
  spec.lse = true;
  spec.bool_mask = true;
  const AttentionChoice choice = selection().choose("x", spec);
  EXPECT_EQ(choice.backend, &slow);
  EXPECT_EQ(choice.why, "default of toy");
  EXPECT_EQ(choice.spec.kv_heads, 4);
  ASSERT_EQ(choice.refused.size(), 2u);
  EXPECT_EQ(choice.refused[0].backend, "plain");
  EXPECT_EQ(choice.refused[1].why, "takes no boolean mask");
}

TEST_F(SelectionTest, ARingTakesItsDefaultAndNeedsTheLse) {
  AttentionSelection s = selection();
  s.ring = true;
  const AttentionChoice choice = s.choose("x", spec);
  EXPECT_EQ(choice.backend, &fused);
  EXPECT_TRUE(choice.spec.lse);
  EXPECT_EQ(choice.why, "ring default of toy");
  spec.bool_mask = true;  // which the default refuses
  EXPECT_EQ(s.choose("x", spec).backend, &slow);
}

TEST_F(SelectionTest, AComponentsChoiceComesBeforeTheGlobalOne) {
  AttentionSelection s = selection();
  s.backend = "fused";
  s.component_backend["text_encoder"] = "slow";
  EXPECT_EQ(s.choose("x", spec).backend, &fused);
  EXPECT_EQ(s.choose("x", spec).why, "--attention-backend fused");
  const AttentionChoice other = s.for_component("text_encoder").choose("x", spec);
  EXPECT_EQ(other.backend, &slow);
  EXPECT_EQ(other.why, "--component-attention text_encoder=slow");
}

TEST_F(SelectionTest, AnExplicitChoiceIsNeverReplaced) {
  AttentionSelection s = selection();
  s.backend = "plain";
  s.ring = true;
  const Error e = error_of(s, spec);
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_TRUE(holds(e.what(), "transformer_blocks.3")) << e.what();
  EXPECT_TRUE(holds(e.what(), "returns no log-sum-exp")) << e.what();
  EXPECT_TRUE(holds(e.what(), "--attention-backend plain")) << e.what();
  EXPECT_EQ(e.hint(), "could serve this layer: fused, slow");
}

TEST_F(SelectionTest, AnUnknownNameIsNotFoundAndTheKnownAreNamed) {
  AttentionSelection s = selection();
  s.backend = "fast";
  const Error e = error_of(s, spec);
  EXPECT_EQ(e.code(), ErrorCode::NotFound);
  EXPECT_TRUE(holds(e.what(), "plain, fused, slow")) << e.what();
}

TEST_F(SelectionTest, WhenNoneServesEveryRefusalIsNamed) {
  order = {&plain, &fused};
  spec.lse = spec.bool_mask = true;
  const Error e = error_of(selection(), spec);
  EXPECT_EQ(e.code(), ErrorCode::Unsupported);
  EXPECT_TRUE(holds(e.what(), "plain: returns no log-sum-exp; fused: takes no boolean mask"))
      << e.what();
}

TEST_F(SelectionTest, AliasesMeanTheFusedKernelOfAscend) {
  EXPECT_EQ(canonical_attention_backend("fa"), "fia");
  EXPECT_EQ(canonical_attention_backend("ascend_fa"), "fia");
  EXPECT_EQ(canonical_attention_backend("flash"), "flash");
  Named fia{"fia", true, true};
  order.push_back(&fia);
  AttentionSelection s = selection();
  s.backend = "fa";
  EXPECT_EQ(s.choose("x", spec).backend, &fia);
}

}  // namespace
}  // namespace annulus

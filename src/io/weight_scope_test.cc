#include "io/weight_scope.h"

#include <gtest/gtest.h>

#include "io/test_folder.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

class WeightScopeTest : public ::testing::Test {
 protected:
  Tensor zeros(const Shape& shape, DType dtype = DType::F32) {
    Tensor x = Tensor::empty(shape, dtype, device);
    device.fill(*stream, x, 0);
    return x;
  }
  WeightScope scope(std::initializer_list<const char*> names) {
    std::map<std::string, Tensor> tensors;
    for (const char* name : names) tensors[name] = zeros({2, 3});
    return WeightScope::of(tensors, device);
  }
  HostDevice device{1};
  std::unique_ptr<Stream> stream = device.make_stream();
};

TEST_F(WeightScopeTest, SlashDescends) {
  const WeightScope root = scope({"blocks.0.attn.to_q.weight", "norm.weight"});
  const WeightScope attn = root / "blocks" / "0" / "attn";
  EXPECT_EQ(attn.name(), "blocks.0.attn");
  EXPECT_EQ((attn / "to_q").get("weight", Shape{2, 3}).shape(), (Shape{2, 3}));
  EXPECT_EQ((root / "blocks.0" / "").name(), "blocks.0");
  EXPECT_TRUE(root.get("norm.weight").defined());
}

TEST_F(WeightScopeTest, AnAbsentNameIsAnErrorWithNearMatches) {
  const WeightScope root =
      scope({"blocks.0.attn.to_q.weight", "blocks.0.attn.to_k.weight", "norm.weight"});
  try {
    (root / "blocks.0.attn.to_qq").get("weight");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::CorruptFile);
    EXPECT_STREQ(
        error.what(),
        "tensor \"blocks.0.attn.to_qq.weight\": wanted in the weights, found none (memory)");
    EXPECT_EQ(error.hint(), "near it are blocks.0.attn.to_q.weight, blocks.0.attn.to_k.weight");
  }
  try {
    (root / "model" / "norm").get("weight");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "near it are norm.weight");
  }
  EXPECT_FALSE(root.find("bias"));
}

TEST_F(WeightScopeTest, AnotherShapeOrKindIsAnError) {
  const WeightScope root =
      WeightScope::of({{"a", zeros({2, 3})}, {"ids", zeros({4}, DType::I64)}}, device);
  EXPECT_EQ(error_of(ErrorCode::CorruptFile,
                     [&] {
                       root.get("a", Shape{3, 2});
                     }),
            "tensor \"a\": wanted shape [3, 2], found [2, 3] (memory)");
  error_of(ErrorCode::CorruptFile, [&] { root.get("a", Shape{2, 3, 1}); });
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { root.get("ids"); }),
            "tensor \"ids\": wanted floating-point numbers, found i64 (memory)");
  EXPECT_EQ(root.find("ids")->dtype(), DType::I64);
}

TEST_F(WeightScopeTest, NamesNeverAskedForAreAnErrorUnlessAllowed) {
  const WeightScope root =
      scope({"a.weight", "b.weight", "b.bias", "lm_head.weight", "lm_head_2.weight"});
  (root / "a").get("weight");
  (root / "b").find("bias");
  EXPECT_EQ(root.unused(),
            (std::vector<std::string>{"b.weight", "lm_head.weight", "lm_head_2.weight"}));
  root.allow_unused("lm_head");
  EXPECT_EQ(root.unused(), (std::vector<std::string>{"b.weight", "lm_head_2.weight"}));
  EXPECT_EQ((root / "b").unused(), (std::vector<std::string>{"b.weight"}));
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { root.check_all_used(); }),
            "weights: wanted only tensors that the model has, found 2 others: b.weight, "
            "lm_head_2.weight (memory)");
  root.get("b.weight");
  root.get("lm_head_2.weight");
  EXPECT_NO_THROW(root.check_all_used());
  EXPECT_EQ(root.bytes_used(), 4u * 24);
}

TEST_F(WeightScopeTest, CopiesShareWhatWasAskedFor) {
  const WeightScope root = scope({"a"});
  const WeightScope copy = root;
  copy.get("a");
  EXPECT_TRUE(root.unused().empty());
}

TEST_F(WeightScopeTest, AlternativesAreTriedInOrder) {
  const WeightScope hub = scope({"model.layers.0.w", "modelling.x"});
  EXPECT_EQ(hub.first_of({"model.language_model", "model", ""}).name(), "model");
  EXPECT_EQ(scope({"layers.0.w"}).first_of({"model.language_model", "model", ""}).name(), "");
  EXPECT_EQ((hub / "model").first_of({"layers"}).name(), "model.layers");
  EXPECT_TRUE(hub.contains("model.layers.0.w"));
  EXPECT_FALSE(hub.contains("mode"));
  EXPECT_FALSE(hub.contains("model.layers.0.w.x"));
  const std::string what = error_of(ErrorCode::CorruptFile, [&] {
    hub.first_of({"visual", "model.visual"});
  });
  EXPECT_EQ(what, "weights: wanted tensors below one of visual, model.visual, found none (memory)");
  EXPECT_EQ(hub.unused().size(), 2u);
}

TEST_F(WeightScopeTest, MappedWeightsAreInPlace) {
  const TestFolder folder;
  std::string header = R"({"a.w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // aligned: else it would be copied
  const auto file = folder.write("model.safetensors", safetensors_text(header, "0123"));
  const WeightScope root(WeightFiles::open(folder.path()), device);
  EXPECT_EQ((root / "a").get("w").address(), root.get("a.w").address());
  EXPECT_EQ(device.memory().in_use, 0u);
  const std::string what = error_of(ErrorCode::CorruptFile, [&] { root.get("a.v"); });
  EXPECT_NE(what.find(file.string()), std::string::npos) << what;
}

}  // namespace
}  // namespace annulus

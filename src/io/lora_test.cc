#include "io/lora.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/checkpoint.h"
#include "io/test_folder.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

const std::filesystem::path kGoldens = std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests/goldens";

class LoraTest : public ::testing::Test {
 protected:
  Tensor numbers(const Shape& shape, float first = 1) {
    Tensor x = Tensor::empty(shape, DType::F32, device);
    for (std::int64_t i = 0; i < x.elements(); ++i)
      x.data<float>()[i] = first + static_cast<float>(i);
    return x;
  }
  std::filesystem::path file(const std::map<std::string, Tensor>& tensors,
                             const std::map<std::string, std::string>& metadata = {}) {
    const auto path = folder.path() / "lora.safetensors";
    write_safetensors(path, tensors, metadata);
    return path;
  }
  std::string refusal(ErrorCode code, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {}) {
    const auto path = file(tensors, metadata);
    LoraSet set;
    const std::string what = error_of(code, [&] { set.add(path, 1, device); });
    EXPECT_NE(what.find(path.string()), std::string::npos) << what;
    EXPECT_TRUE(set.empty());
    return what;
  }
  static void expect_part(const std::string& what, std::string_view part) {
    EXPECT_NE(what.find(part), std::string::npos) << what << "\nwithout: " << part;
  }
  TestFolder folder;
  HostDevice device{1};
};

// Golden: diffusers' own reading of each file (tools/goldens/lora_names.py).
TEST_F(LoraTest, EveryKindOfNameAndScaleIsReadAsDiffusersDoes) {
  const std::filesystem::path goldens = kGoldens / "lora_names";
  const Json expected = Json::read(goldens / "expected.json", ErrorCode::CorruptFile);
  for (const auto& [name, modules] : expected.members()) {
    LoraSet set;
    set.add(goldens / text_of(name, ".safetensors"), 2, device);
    EXPECT_EQ(set.entries().size(), modules.size()) << name;
    for (const auto& [module, scale] : modules.members()) {
      ASSERT_EQ(set.terms(module).size(), 1u) << name << ' ' << module;
      EXPECT_NEAR(set.terms(module)[0].scale, 2 * scale.as<double>(), 1e-4)
          << name << ' ' << module;
    }
  }
}

TEST_F(LoraTest, GoldenWeightIsFused) {
  for (const char* name : {"peft", "lightning"}) {
    const std::filesystem::path lora = kGoldens / "lora/qwen_image", golden = lora / "cases" / name;
    const Json wanted = Json::read(golden / "case.json", ErrorCode::CorruptFile);
    const auto set = std::make_shared<LoraSet>(LoraUse::Fused);
    set->add(lora / wanted.get<std::string>("lora"), wanted.get<float>("scale"), device);
    const WeightScope w = Checkpoint::open(kGoldens / wanted.get<std::string>("base"))
                              .weights("transformer", device, set);
    const std::string module = "transformer_blocks.0.attn.add_q_proj",
                      output = "fused.weight." + module;
    const Tensor got = (w / module).get("weight");
    EXPECT_TRUE((w / module).lora().empty());
    const Tensor want =
        SafetensorsFile::open(golden / "outputs.safetensors").tensor(output, device);
    ASSERT_EQ(got.shape(), want.shape());
    const double bound = wanted["outputs"][output].get<double>("tol_abs");
    for (std::int64_t i = 0; i < got.elements(); ++i)
      EXPECT_NEAR(got.data<float>()[i], want.data<float>()[i], bound) << name << ' ' << i;
  }
}

TEST_F(LoraTest, ScopesCarryTheirModulesTerms) {
  const auto set = std::make_shared<LoraSet>();
  set->add(kGoldens / "lora_names/peft.safetensors", 1, device);
  set->add(kGoldens / "lora_names/kohya.safetensors", 0.5, device);
  const WeightScope w = WeightScope::of({}, device, set);
  const auto terms = (w / "transformer_blocks.0.attn" / "to_out.0").lora();
  ASSERT_EQ(terms.size(), 2u);
  EXPECT_EQ(terms[0].scale, 1);
  EXPECT_EQ(terms[1].scale, 0.5f * 2.5f);
  EXPECT_EQ(terms[0].a.shape(), (Shape{2, 8}));
  EXPECT_EQ(terms[0].b.shape(), (Shape{8, 2}));
  EXPECT_TRUE((w / "transformer_blocks.0.attn" / "to_out.1").lora().empty());

  const std::vector<std::string> unmatched = w.unmatched_lora();
  EXPECT_EQ(unmatched.size(), 8u);
  EXPECT_EQ(unmatched[0].substr(0, 7), "img_in ");
  EXPECT_NO_THROW(w.check_all_used());
  const WeightScope other = WeightScope::of({}, device, set);
  (other / "some.other.module").lora();
  expect_part(error_of(ErrorCode::InvalidRequest, [&] { other.check_all_used(); }),
              "LoRA: wanted modules of this model, found only others: img_in (");
}

// Oracle: diffusers 0.42, whose converter multiplies A (in its dtype) and B by the two parts of
// alpha / rank: 3 / 4, and 1 / 12 as 1 / 3 of A and 1 / 4 of B.
TEST_F(LoraTest, AlphaIsRoundedIntoAOfSixteenBitsAndLeavesOthersInPlace) {
  const std::unique_ptr<Stream> stream = device.make_stream();
  const auto read = [&](std::int64_t rank, float alpha, DType dtype) {
    const Tensor a = cast(*stream, numbers({rank, 5}, 0.3f), dtype);
    LoraSet set;
    set.add(file({{"m.lora_A.weight", a},
                  {"m.lora_B.weight", cast(*stream, numbers({3, rank}), dtype)},
                  {"m.alpha", numbers({}, alpha)}}),
            2, device);
    const LoraTerm term = set.terms("m")[0];
    EXPECT_EQ(term.a.dtype(), dtype);
    const Tensor before = cast(*stream, a, DType::F32), after = cast(*stream, term.a, DType::F32);
    return std::tuple(term.scale, before, after);
  };
  const auto expect = [&](std::int64_t rank, float alpha, DType dtype, float scale, float of_a) {
    const auto [found, before, after] = read(rank, alpha, dtype);
    EXPECT_EQ(found, scale) << alpha << " / " << rank << " in " << name_of(dtype);
    for (std::int64_t i = 0; i < before.elements(); ++i) {
      Tensor want = numbers({}, before.data<float>()[i] * of_a);
      want = cast(*stream, cast(*stream, want, dtype), DType::F32);
      EXPECT_EQ(after.data<float>()[i], want.data<float>()[0]) << i;
    }
  };
  expect(4, 3, DType::BF16, 2, 0.75f);
  expect(12, 1, DType::BF16, 0.5f, 1 / 3.0f);
  expect(12, 1, DType::F16, 0.5f, 1 / 3.0f);
  expect(4, 2, DType::BF16, 1, 1);
  expect(4, 3, DType::F32, 1.5f, 1);
}

TEST_F(LoraTest, FusedEqualsTheSumInDouble) {
  const Tensor weight = numbers({3, 5});
  const std::vector<LoraTerm> terms = {{numbers({2, 5}, -3), numbers({3, 2}, 0.5f), 0.25f},
                                       {numbers({1, 5}), numbers({3, 1}), -2}};
  const Tensor sum = fused_weight(weight, terms);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 5; ++j) {
      double want = 1 + 5 * i + j;
      for (const LoraTerm& term : terms)
        for (std::int64_t r = 0; r < term.a.shape()[0]; ++r)
          want += double{term.scale} * term.b.view<const float, 2>()(i, r) *
                  term.a.view<const float, 2>()(r, j);
      EXPECT_NEAR((sum.view<const float, 2>()(i, j)), want, 1e-5);
    }
}

TEST_F(LoraTest, KeysAreTakenApart) {
  using Part = LoraKey::Part;
  struct Case {
    const char* name;
    const char* module;
    Part part;
    bool flat = false;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"transformer.a.b.lora_A.weight", "a.b", Part::A},
           {"base_model.model.a.b.lora_B.weight", "a.b", Part::B},
           {"transformer.base_model.model.a.lora_A.default_0.weight", "a", Part::A},
           {"model.diffusion_model.a.lora_up.weight", "a", Part::B},
           {"a.alpha", "a", Part::Alpha},
           {"lora_unet_a_b.lora_down.weight", "a_b", Part::A, true},
           {"lora_transformer_a_b.alpha", "a_b", Part::Alpha, true},
           {"transformer.a.to_q_lora.down.weight", "a.to_q", Part::A},
           {"a.to_out_lora.up.weight", "a.to_out.0", Part::B},
           {"text_encoder.a.lora_A.weight", "text_encoder.a", Part::A}}) {
    const auto key = parse_lora_key(c.name);
    ASSERT_TRUE(key) << c.name;
    EXPECT_EQ(key->module, c.module) << c.name;
    EXPECT_EQ(key->part, c.part) << c.name;
    EXPECT_EQ(key->flat, c.flat) << c.name;
  }
  for (const char* name :
       {"", "alpha", ".alpha", "transformer.", ".lora_A.weight", "a.lora_A.x.y.weight",
        "a.lora_C.weight", "a.weight", "lora_A.weight", "a.lora_A.bias", "lora_unet_.alpha"})
    EXPECT_FALSE(parse_lora_key(name)) << name;
}

TEST_F(LoraTest, FilesThatDoNotFitAreRefused) {
  const Tensor a = numbers({2, 4}), b = numbers({3, 2});
  expect_part(refusal(ErrorCode::InvalidRequest, {{"m.lora_A.weight", a}}),
              "wanted both A and B of m, found one");
  expect_part(
      refusal(ErrorCode::InvalidRequest, {{"m.lora_B.weight", b}, {"m.alpha", numbers({})}}),
      "wanted both A and B of m");
  expect_part(refusal(ErrorCode::InvalidRequest,
                      {{"m.lora_A.weight", a}, {"m.lora_B.weight", numbers({3, 1})}}),
              "found [2, 4] and [3, 1]");
  expect_part(refusal(ErrorCode::InvalidRequest,
                      {{"m.lora_A.weight", numbers({0, 4})}, {"m.lora_B.weight", numbers({3, 0})}}),
              "found [0, 4] and [3, 0]");
  expect_part(refusal(ErrorCode::InvalidRequest,
                      {{"m.lora_A.weight", numbers({4})}, {"m.lora_B.weight", b}}),
              "found [4] and [3, 2]");
  expect_part(refusal(ErrorCode::InvalidRequest,
                      {{"m.lora_A.weight", a}, {"m.lora_B.weight", b}, {"m.alpha", numbers({2})}}),
              "wanted one number");
  expect_part(
      refusal(ErrorCode::InvalidRequest,
              {{"m.lora_A.weight", a}, {"m.lora_B.weight", b}, {"m.alpha", numbers({1}, NAN)}}),
      "wanted a finite number");
  expect_part(
      refusal(ErrorCode::InvalidRequest,
              {{"m.lora_A.weight", a}, {"m.lora_B.weight", b}, {"transformer.m.lora_A.weight", a}}),
      "once, found \"");
  expect_part(refusal(ErrorCode::InvalidRequest,
                      {{"m.lora_A.weight", Tensor::empty({2, 4}, DType::I32, device)},
                       {"m.lora_B.weight", b}}),
              "floating-point");
  expect_part(refusal(ErrorCode::InvalidRequest, {{"m.weight", a}}),
              "wanted a name such as X.lora_A.weight");
  expect_part(refusal(ErrorCode::InvalidRequest, {}), "wanted at least one pair");
  expect_part(refusal(ErrorCode::InvalidRequest, {{"m.alpha", numbers({})}}),
              "wanted at least one pair");
  for (const char* name : {"m.dora_scale", "m.lora_magnitude_vector", "m.lokr_w1", "m.hada_w1_a",
                           "m.lora_B.bias", "m.diff_b"})
    expect_part(refusal(ErrorCode::Unsupported, {{name, a}}), "wanted plain LoRA of linear layers");
  expect_part(refusal(ErrorCode::Unsupported, {{"m.lora_A.weight", numbers({2, 4, 1, 1})},
                                               {"m.lora_B.weight", numbers({3, 2, 1, 1})}}),
              "convolution");
  LoraSet set;
  error_of(ErrorCode::InvalidRequest,
           [&] { set.add(folder.path() / "none.safetensors", 1, device); });
  error_of(ErrorCode::InvalidRequest, [&] {
    set.add(file({{"m.lora_A.weight", a}, {"m.lora_B.weight", b}}), NAN, device);
  });
}

TEST_F(LoraTest, MetadataThatDoNotFitAreRefused) {
  const std::map<std::string, Tensor> tensors = {{"m.lora_A.weight", numbers({2, 4})},
                                                 {"m.lora_B.weight", numbers({3, 2})}};
  const auto with = [&](ErrorCode code, const char* text) {
    return refusal(code, tensors, {{"lora_adapter_metadata", text}});
  };
  expect_part(with(ErrorCode::InvalidRequest, "{"), "lora_adapter_metadata");
  expect_part(with(ErrorCode::InvalidRequest, R"({"transformer.r": 4})"),
              "wanted rank 4 of m as the metadata say, found 2");
  expect_part(with(ErrorCode::InvalidRequest, R"({"r": 2, "lora_alpha": "x"})"),
              "lora_alpha: wanted a number");
  expect_part(with(ErrorCode::InvalidRequest, R"({"r": 2, "lora_alpha": NaN})"),
              "wanted a finite alpha");
  expect_part(with(ErrorCode::InvalidRequest, R"({"r": 2, "rank_pattern": {"m|n": 2}})"),
              "module paths as keys");
  expect_part(with(ErrorCode::Unsupported, R"({"r": 2, "use_dora": true})"), "DoRA");
  LoraSet set;
  const char* const text = R"({"r": 8, "lora_alpha": 3, "rank_pattern": {"m": 2},
                               "alpha_pattern": {"other.m": 7, "n\\.m": 5}})";
  set.add(file(tensors, {{"lora_adapter_metadata", text}}), 1, device);
  EXPECT_EQ(set.terms("m")[0].scale, 1.5f);
}

}  // namespace
}  // namespace annulus

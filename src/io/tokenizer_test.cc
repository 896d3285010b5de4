#include "io/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "io/json.h"
#include "io/test_folder.h"

namespace annulus {
namespace {

using Ids = std::vector<std::int32_t>;

std::filesystem::path golden(const std::string& model) {
  return std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests/goldens" / model;
}

class TokenizerGoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerGoldenTest, IdsAndTextsEqualTheGoldens) {
  const auto tokenizer = load_tokenizer(golden(GetParam()) / "tokenizer");
  const Json all =
      Json::read(golden(GetParam()) / "cases/tokenizer/case.json", ErrorCode::CorruptFile);
  ASSERT_GT(all["cases"].size(), 0u);
  for (const Json& one : all["cases"].elements()) {
    const auto text = one.get<std::string>("text");
    const auto want = one.get<Ids>("ids");
    EXPECT_EQ(tokenizer->encode(text), want) << text;
    EXPECT_EQ(tokenizer->encode(text, {.add_special_tokens = false}),
              one.get<Ids>("ids_no_special"))
        << text;
    EXPECT_EQ(tokenizer->decode(want), one.get<std::string>("decoded"));
  }
}

INSTANTIATE_TEST_SUITE_P(ByteLevelBpe, TokenizerGoldenTest,
                         ::testing::Values("qwen_image/tiny", "qwen_image/tiny_bf16_sharded",
                                           "qwen_image_edit/tiny_plus_2511", "hunyuan_video/tiny",
                                           "flux2/tiny", "z_image/tiny"));

// tests/tokenizers/variants.json holds what Hugging Face tokenizers give
// (tools/make_tokenizer_tests.py).
TEST(TokenizerTest, WhatATokenizerJsonCanSayMeansWhatItMeansToTheReference) {
  const Json all =
      Json::read(std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests/tokenizers/variants.json",
                 ErrorCode::CorruptFile);
  ASSERT_GT(all["variants"].size(), 45u);
  for (const Json& variant : all["variants"].elements()) {
    Json whole = all["base"];
    for (const auto& [key, value] : variant["change"].members()) whole.set(key, value);
    const TestFolder folder;
    folder.write("tokenizer.json", whole.dump());
    const auto tokenizer = load_tokenizer(folder.path());
    for (const Json& one : variant["cases"].elements()) {
      const auto text = one.get<std::string>("text");
      EXPECT_EQ(tokenizer->encode(text), one.get<Ids>("ids"))
          << variant.get<std::string>("name") << ": " << one["text"].dump();
      EXPECT_EQ(tokenizer->decode(one.get<Ids>("ids")), one.get<std::string>("decoded"))
          << variant.get<std::string>("name");
    }
  }
}

TEST(TokenizerTest, TheTokenizerJsonOfAProcessorGivesWhatVocabularyAndMergesGive) {
  const auto model = golden("qwen_image_edit/tiny_plus_2511");
  const auto a = load_tokenizer(model / "tokenizer"), b = load_tokenizer(model / "processor");
  EXPECT_EQ(a->vocabulary_size(), b->vocabulary_size());
  EXPECT_EQ(a->settings().pad, b->settings().pad);
  EXPECT_EQ(a->id_of("<|image_pad|>"), b->id_of("<|image_pad|>"));
  for (const char* text : {"", "make the sky purple", " \n\n x<|image_pad|>\u00e9e\u0301"})
    EXPECT_EQ(a->encode(text), b->encode(text));
}

TEST(TokenizerTest, SettingsComeFromTheConfig) {
  const auto qwen = load_tokenizer(golden("qwen_image/tiny") / "tokenizer");
  EXPECT_EQ(qwen->settings().pad, qwen->id_of("<|endoftext|>"));
  EXPECT_EQ(qwen->settings().eos, qwen->id_of("<|im_end|>"));
  EXPECT_FALSE(qwen->settings().bos);
  EXPECT_EQ(qwen->settings().model_max_length, 131072);
  EXPECT_EQ(qwen->vocabulary_size(), 835);
  EXPECT_FALSE(qwen->settings().pad_left);
  const auto mistral = load_tokenizer(golden("flux2/tiny") / "tokenizer");
  EXPECT_TRUE(mistral->settings().pad_left);
  EXPECT_EQ(mistral->settings().bos, 1);
}

TEST(TokenizerTest, TruncationKeepsTheTokensThatAreAlwaysAdded) {
  const auto llama = load_tokenizer(golden("hunyuan_video/tiny") / "tokenizer");
  const Ids whole = llama->encode("A cat holding a sign that says hello world");
  const Ids cut = llama->encode("A cat holding a sign that says hello world", {.max_length = 4});
  EXPECT_EQ(cut, Ids(whole.begin(), whole.begin() + 4));
  EXPECT_EQ(llama->encode("hello", {.max_length = 1}), Ids{whole[0]});
  EXPECT_EQ(llama->encode("hello", {.add_special_tokens = false, .max_length = 0}), Ids{});
  error_of(ErrorCode::InvalidRequest, [&] { llama->encode("hello", {.max_length = 0}); });
}

TEST(TokenizerTest, BatchesArePaddedOnTheSideTheConfigSays) {
  const auto qwen = load_tokenizer(golden("qwen_image/tiny") / "tokenizer");
  const auto mistral = load_tokenizer(golden("flux2/tiny") / "tokenizer");
  const std::int32_t right = qwen->settings().pad.value_or(-1),
                     left = mistral->settings().pad.value_or(-1);
  const TokenBatch a = pad_tokens(*qwen, {{1, 2, 3}, {4}});
  EXPECT_EQ(a.ids, (Ids{1, 2, 3, 4, right, right}));
  EXPECT_EQ(a.mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 0, 0}));
  const TokenBatch b = pad_tokens(*mistral, {{1, 2, 3}, {4}}, 4);
  EXPECT_EQ(b.ids, (Ids{left, 1, 2, 3, left, left, left, 4}));
  EXPECT_EQ(b.seq, 4);
  EXPECT_EQ(pad_tokens(*qwen, {}).batch, 0);
}

TEST(TokenizerTest, TextThatIsNotUtf8IsRefusedWithThePlace) {
  const auto qwen = load_tokenizer(golden("qwen_image/tiny") / "tokenizer");
  for (const std::string bad : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"}) {
    const std::string what =
        error_of(ErrorCode::InvalidRequest, [&] { qwen->encode("abc" + bad); });
    EXPECT_NE(what.find("offset 3"), std::string::npos) << what;
  }
}

TEST(TokenizerTest, DecodingNeverGivesIllFormedText) {
  const auto qwen = load_tokenizer(golden("qwen_image/tiny") / "tokenizer");
  const Ids ids = qwen->encode("\u65e5");
  EXPECT_EQ(qwen->decode(std::span(ids).first(1)), "\ufffd");
  EXPECT_EQ(qwen->decode(Ids{-1, 1 << 30, 64}), "a");
  EXPECT_EQ(qwen->decode(qwen->encode("<|im_start|>a"), true), "a");
}

// Quadratic time would take hours here.
TEST(TokenizerTest, AMegabyteTakesLinearTime) {
  const auto qwen = load_tokenizer(golden("qwen_image/tiny") / "tokenizer");
  constexpr std::size_t kBytes = 1 << 20;
  EXPECT_EQ(qwen->encode(std::string(kBytes, '(')).size(), kBytes);  // one word that nothing merges
  const Ids blanks = qwen->encode(std::string(kBytes, ' '));  // one word that merges all the way
  EXPECT_EQ(qwen->decode(blanks), std::string(kBytes, ' '));
  std::string words;
  while (words.size() < kBytes) words += "the cat's 12 dogs,\n\n <|im_end|>caf\u00e9 ";
  EXPECT_EQ(qwen->decode(qwen->encode(words)), words);
}

}  // namespace
}  // namespace annulus

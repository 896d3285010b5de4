#include "io/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

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

TEST(TokenizerTest, TheTokenizerJsonOfAProcessorGivesWhatVocabularyAndMergesGive) {
  const auto model = golden("qwen_image_edit/tiny_plus_2511");
  const auto a = load_tokenizer(model / "tokenizer"), b = load_tokenizer(model / "processor");
  EXPECT_EQ(a->vocabulary_size(), b->vocabulary_size());
  EXPECT_EQ(a->settings().pad, b->settings().pad);
  EXPECT_EQ(a->id_of("<|image_pad|>"), b->id_of("<|image_pad|>"));
  for (const char* text : {"", "make the sky purple", " \n\n x<|image_pad|>\u00e9e\u0301"})
    EXPECT_EQ(a->encode(text), b->encode(text));
}

INSTANTIATE_TEST_SUITE_P(ByteLevelBpe, TokenizerGoldenTest,
                         ::testing::Values("qwen_image/tiny", "qwen_image/tiny_bf16_sharded",
                                           "qwen_image_edit/tiny_plus_2511", "hunyuan_video/tiny",
                                           "flux2/tiny", "z_image/tiny"));

}  // namespace
}  // namespace annulus

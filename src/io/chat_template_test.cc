#include "io/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "io/test_folder.h"
#include "io/tokenizer.h"

namespace annulus {
namespace {

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& folder) {
  return load_tokenizer(std::filesystem::path(ANNULUS_SOURCE_DIR) / folder);
}

/// How many tokens two encodings share at their start.
std::int64_t shared_start(const Tokenizer& tokenizer, const std::string& a, const std::string& b) {
  const auto x = tokenizer.encode(a), y = tokenizer.encode(b);
  std::int64_t count = 0;
  while (x.at(static_cast<std::size_t>(count)) == y.at(static_cast<std::size_t>(count))) ++count;
  return count;
}

// The goldens' tokenizers were trained so that the templates have the length they have with the
// published one.
TEST(ChatTemplateTest, TheDroppedTokensAreAllThatComesBeforeThePrompt) {
  for (const char* folder :
       {"tests/goldens/qwen_image/tiny/tokenizer",
        "tests/goldens/qwen_image/tiny_bf16_sharded/tokenizer", "demo/storybook/tokenizer"}) {
    const auto tokenizer = tokenizer_of(folder);
    EXPECT_EQ(shared_start(*tokenizer, qwen_image_text("a"), qwen_image_text("7")),
              kQwenImageDroppedTokens)
        << folder;
  }
  const auto edit = tokenizer_of("tests/goldens/qwen_image_edit/tiny_plus_2511/tokenizer");
  EXPECT_EQ(
      shared_start(*edit, qwen_image_edit_plus_text("a", 0), qwen_image_edit_plus_text("7", 0)),
      kQwenImageEditDroppedTokens);
}

TEST(ChatTemplateTest, PicturesAreAnnouncedInOrder) {
  const std::string text = qwen_image_edit_plus_text("two dogs", 2);
  EXPECT_NE(
      text.find(
          "<|im_start|>user\nPicture 1: <|vision_start|><|image_pad|><|vision_end|>Picture 2: "
          "<|vision_start|><|image_pad|><|vision_end|>two dogs<|im_end|>\n<|im_start|>assistant\n"),
      std::string::npos);
  EXPECT_NE(qwen_image_edit_text("x{}").find(
                "user\n<|vision_start|><|image_pad|><|vision_end|>x{}<|im_end|>"),
            std::string::npos);
}

TEST(ChatTemplateTest, EachPlaceForAPictureGrowsToItsTokens) {
  const std::vector<std::int32_t> ids = {1, 9, 2, 9, 3};
  const std::vector<std::int64_t> tokens = {3, 1};
  EXPECT_EQ(expand_image_pads(ids, 9, tokens), (std::vector<std::int32_t>{1, 9, 9, 9, 2, 9, 3}));
  const std::vector<std::int64_t> one = {3};
  error_of(ErrorCode::InvalidRequest, [&] { expand_image_pads(ids, 9, one); });
}

}  // namespace
}  // namespace annulus

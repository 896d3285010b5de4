#include <gtest/gtest.h>

#include "io/checkpoint.h"
#include "models/encoders/umt5/prompt.h"
#include "nn/test_context.h"
#include "nn/transfer.h"

namespace annulus::umt5 {
namespace {

const std::filesystem::path kGoldens =
    std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests" / "goldens" / "wan";

TEST(Umt5Buckets, AreExactNearbyLogarithmicFurtherAndOneForAllFarAway) {
  const Config config;  // 32 buckets, 128 tokens
  for (int away = 0; away < 8; ++away) {
    EXPECT_EQ(bucket_of(config, -away), away);
    EXPECT_EQ(bucket_of(config, away), away == 0 ? 0 : 16 + away);
  }
  EXPECT_EQ(bucket_of(config, -8), 8);
  EXPECT_EQ(bucket_of(config, -16), 10);  // log(2) / log(16) of 8
  EXPECT_EQ(bucket_of(config, -32), 12);
  EXPECT_EQ(bucket_of(config, -64), 14);
  EXPECT_EQ(bucket_of(config, -128), 15);
  EXPECT_EQ(bucket_of(config, 5000), 31);
  for (int away = 1; away < 300; ++away)
    EXPECT_GE(bucket_of(config, -away - 1), bucket_of(config, -away));
}

TEST(Umt5Prompts, AreCleanedAsTheReferenceDoes) {
  EXPECT_EQ(cleaned("A cat &amp; a  dog"), "A cat & a dog");
  EXPECT_EQ(cleaned("  a\n\tb \xe3\x80\x80 c "), "a b c");
  EXPECT_EQ(cleaned("&amp;lt;b&amp;gt; &#39;x&#x27; caf&eacute;"), "<b> 'x' caf\xc3\xa9");
  EXPECT_EQ(cleaned("&unknown; & &#; &#xD800; a&b;"), "&unknown; & &#; &#xD800; a&b;");
  EXPECT_EQ(cleaned(" \n "), "");
  EXPECT_EQ(cleaned(""), "");
  // Curled quotes, full-width signs, a ligature, a combining accent, a control character.
  EXPECT_EQ(cleaned("it\xe2\x80\x99s \xe2\x80\x9c"
                    "a\xe2\x80\x9d\xef\xbc\x8c\xef\xbc\xa1"),
            "it's \"a\",A");
  EXPECT_EQ(cleaned("it&rsquo;s"), "it's");
  EXPECT_EQ(cleaned("\xef\xac\x81sh e\xcc\x81\x07."), "fish \xc3\xa9.");
}

TEST(Umt5Encoder, PaddingChangesNothingAndABatchIsItsEntries) {
  TestContext test("reference");
  const Context ctx = test.context();
  const Checkpoint checkpoint = Checkpoint::open(kGoldens / "wan21");
  const Encoder encoder =
      load(checkpoint.weights("text_encoder", ctx.device), checkpoint.config("text_encoder"),
           test.attention().for_component("text_encoder"), ctx.dtype);
  const auto tokenizer = load_tokenizer(checkpoint.component("tokenizer").folder);
  const std::vector<std::string> prompts = {"a red car in the rain", "hello"};
  const Conditioning both = encode_prompts(ctx, encoder, *tokenizer, prompts, 64);
  for (std::size_t i = 0; i < 2; ++i) {
    const Conditioning one =
        encode_prompts(ctx, encoder, *tokenizer, std::span(prompts).subspan(i, 1), 64);
    ASSERT_EQ(one.lengths.front(), both.lengths[i]);
    const Tensor part =
        both.embeds.slice(0, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1)
            .slice(1, 0, both.lengths[i]);
    EXPECT_LT(largest_difference(to_host(ctx, part), to_host(ctx, one.embeds)), 1e-5);
  }
  const Conditioning cut = encode_prompts(ctx, encoder, *tokenizer, prompts, 4);
  EXPECT_EQ(cut.lengths, (std::vector<std::int64_t>{4, 4}));
}

}  // namespace
}  // namespace annulus::umt5

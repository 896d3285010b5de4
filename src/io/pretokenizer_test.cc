#include "io/pretokenizer.h"

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace annulus {
namespace {

using Ranges = std::vector<TextRange>;

Ranges matches(std::string_view expression, std::string_view text) {
  return Pattern::regex(expression, "test").matches(text);
}

// What Oniguruma's manual (doc/RE) says of each; PCRE2 alone would say otherwise.
TEST(PatternTest, ClassesMeanWhatOnigurumaMeans) {
  EXPECT_EQ(matches(R"(\s)", "a\u180e\u0085"),
            (Ranges{{4, 6}}));  // U+180E is no white space, U+0085 is
  EXPECT_EQ(matches(R"([^\s])", " \u180e"), (Ranges{{1, 4}}));
  EXPECT_EQ(matches(R"(\v)", "\n\v"), (Ranges{{1, 2}}));  // one character, not a class
  EXPECT_EQ(matches(R"(\u0061)", "ba"), (Ranges{{1, 2}}));
  EXPECT_EQ(matches(R"(^b$)", "a\nb\nc"), (Ranges{{2, 3}}));  // always by line
  EXPECT_EQ(matches(R"(.)", "\n\r"), (Ranges{{1, 2}}));       // all but the line feed
  EXPECT_EQ(matches(R"((?i:'s))", "'S'\u017f"), (Ranges{{0, 2}, {2, 5}}));
}

TEST(PatternTest, EmptyMatchesCountUnlessTheyTouchTheOneBefore) {
  EXPECT_EQ(matches("a*", ""), (Ranges{{0, 0}}));
  EXPECT_EQ(matches("a*", "baac"), (Ranges{{0, 0}, {1, 3}, {4, 4}}));
  EXPECT_EQ(matches("", "\u00e9"), (Ranges{{0, 0}, {2, 2}}));
}

TEST(PatternTest, ALiteralMatchesItselfWhateverItHolds) {
  for (const std::string text : {"a", " ", "\\", "[^.*", "\n", "(?i:x)", "\u65e5", "-", "#"})
    EXPECT_EQ(Pattern::literal(text, "test").matches("." + text + text),
              (Ranges{{1, 1 + text.size()}, {1 + text.size(), 1 + 2 * text.size()}}))
        << text;
  EXPECT_EQ(Pattern::literal(std::string_view("\0", 1), "test").matches(std::string_view("a\0", 2)),
            (Ranges{{1, 2}}));
}

TEST(PatternTest, APatternThatNeverEndsIsAnError) {
  const std::string what =
      error_of(ErrorCode::CorruptFile, [] { matches("(x+x+)+[yz]", std::string(64, 'x')); });
  EXPECT_NE(what.find("bounded number of steps"), std::string::npos) << what;
  error_of(ErrorCode::CorruptFile, [] { matches("(a{60000}){60000}", "a"); });
}

// The table in the documentation of SplitDelimiterBehavior in Hugging Face tokenizers, with "-" in
// "the-final--countdown".
TEST(PretokenizerTest, EachBehaviorCutsAsDocumented) {
  const std::string text = "the-final--countdown";
  const auto pieces = [&](Pretokenizer::Behavior behavior) {
    std::string joined;
    for (const TextRange& range : split_at(text.size(), matches("-", text), behavior, false))
      joined += text.substr(range.begin, range.end - range.begin) + "|";
    return joined;
  };
  EXPECT_EQ(pieces(Pretokenizer::Behavior::Removed), "the|final|countdown|");
  EXPECT_EQ(pieces(Pretokenizer::Behavior::Isolated), "the|-|final|-|-|countdown|");
  EXPECT_EQ(pieces(Pretokenizer::Behavior::MergedWithPrevious), "the-|final-|-|countdown|");
  EXPECT_EQ(pieces(Pretokenizer::Behavior::MergedWithNext), "the|-final|-|-countdown|");
  EXPECT_EQ(pieces(Pretokenizer::Behavior::Contiguous), "the|-|final|--|countdown|");
}

TEST(PretokenizerTest, WordsOfQwen2) {
  std::string joined;
  Pretokenizer::qwen2(false).words("It's 12 caf\u00e9s,\n\n  x  ",
                                   [&](std::string_view word) { joined.append(word) += '|'; });
  EXPECT_EQ(joined, "It|'s| |1|2| caf\u00e9s|,\n\n| | x|  |");
}

}  // namespace
}  // namespace annulus

#include "io/unicode.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

TEST(UnicodeTest, IllFormedTextIsFoundWhereItBegins) {
  EXPECT_EQ(find_invalid_utf8(""), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("a\u00e9\u65e5\U0001f600"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8(std::string_view("\0", 1)), std::string_view::npos);
  // table 3-7: overlong forms, surrogates, past U+10FFFF, lone and missing continuation
  for (const char* bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xe6\x97", "\xff"})
    EXPECT_EQ(find_invalid_utf8(std::string("ab") + bad), 2u) << bad;
}

TEST(UnicodeTest, EachMaximalSubpartBecomesOneReplacement) {
  // The example of table 3-8 of the standard, and what Rust's from_utf8_lossy makes of it.
  EXPECT_EQ(replace_invalid_utf8("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"),
            "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd");
}

TEST(UnicodeTest, QuotedTextIsOneShortLine) {
  EXPECT_EQ(in_quotes("a\n\x7f\xff\u00e9"), "'a\\x0a\\x7f\ufffd\u00e9'");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "'" + std::string(60, 'x') + "...'");
}

TEST(UnicodeTest, WritingAndReadingACharacterIsTheIdentity) {
  for (char32_t code = 0; code < 0x110000; code += code < 0x3000 ? 1 : 977) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text = "x";
    append_utf8(text, code);
    EXPECT_EQ(find_invalid_utf8(text), std::string_view::npos);
    EXPECT_EQ(last_character(text).code, code);
    EXPECT_EQ(first_character(std::string_view(text).substr(1)).bytes, text.size() - 1);
  }
}

TEST(UnicodeTest, NormalFormsOfTheStandardsExamples) {
  EXPECT_EQ(normalized("e\u0301", NormalForm::Nfc), "\u00e9");
  EXPECT_EQ(normalized("\u00e9", NormalForm::Nfd), "e\u0301");
  EXPECT_EQ(normalized("\u212b", NormalForm::Nfc), "\u00c5");
  EXPECT_EQ(normalized("\ufb01", NormalForm::Nfc), "\ufb01");
  EXPECT_EQ(normalized("\ufb01", NormalForm::Nfkc), "fi");
  EXPECT_EQ(normalized("\u1100\u1161\u11a8", NormalForm::Nfc), "\uac01");
  EXPECT_EQ(normalized("q\u0307\u0323", NormalForm::Nfd), "q\u0323\u0307");
  EXPECT_EQ(normalized(std::string_view("\0a", 2), NormalForm::Nfc), std::string("\0a", 2));
  EXPECT_EQ(normalized("", NormalForm::Nfc), "");
}

}  // namespace
}  // namespace annulus

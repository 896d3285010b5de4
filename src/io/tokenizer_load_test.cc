// Tokenizer folders that lie: each gives CorruptFile (or Unsupported) with file and entry.
#include <gtest/gtest.h>

#include "io/json.h"
#include "io/test_folder.h"
#include "io/tokenizer.h"

namespace annulus {
namespace {

const char* const kVocabulary = R"({"a":0,"b":1,"ab":2,"c":3})";
const char* const kByteLevel = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";

/// A tokenizer.json of these parts.
std::string tokenizer_json(const std::string& vocabulary, const std::string& merges,
                           const std::string& more = "", const std::string& words = kByteLevel) {
  return R"({"model":{"type":"BPE","vocab":)" + vocabulary + R"(,"merges":)" + merges +
         R"(},"pre_tokenizer":)" + words + more + "}";
}

struct Lie {
  std::string content;
  ErrorCode code;
  std::string says;  // part of the message
};

TEST(TokenizerLoadTest, LiesInATokenizerJsonAreNamed) {
  const std::string added = R"(,"added_tokens":[{"id":)";
  const auto with_added = [&](const std::string& id, const std::string& content) {
    return tokenizer_json(kVocabulary, "[]", added + id + R"(,"content":")" + content + R"("}])");
  };
  const auto with_split = [&](const std::string& pattern,
                              const std::string& behavior = "Isolated") {
    return tokenizer_json(kVocabulary, "[]", "",
                          R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":)" +
                              pattern + R"(,"behavior":")" + behavior + R"("},)" + kByteLevel +
                              "]}");
  };
  const auto with_template = [&](const std::string& single) {
    return tokenizer_json(kVocabulary, "[]",
                          R"(,"post_processor":{"type":"TemplateProcessing","single":)" + single +
                              R"(,"special_tokens":{"x":{"ids":[-1]},"y":{"ids":[0]}}})");
  };
  const Lie lies[] = {
      {"", ErrorCode::CorruptFile, ""},
      {"{}", ErrorCode::CorruptFile, "model"},
      {"[]", ErrorCode::CorruptFile, "object"},
      {R"({"model":{"type":"WordPiece"}})", ErrorCode::Unsupported, "WordPiece"},
      {R"({"model":{"type":"BPE","vocab":{},"merges":[]},"pre_tokenizer":{"type":"Metaspace"}})",
       ErrorCode::Unsupported, "ByteLevel"},
      {tokenizer_json(R"({"a":-1})", "[]"), ErrorCode::CorruptFile, "id of token 'a'"},
      {tokenizer_json(R"({"a":99999999999})", "[]"), ErrorCode::CorruptFile, "id of token 'a'"},
      {tokenizer_json(R"({"a":4194304})", "[]"), ErrorCode::CorruptFile, "id of token 'a'"},
      {tokenizer_json(R"({"a":0,"b":0})", "[]"), ErrorCode::CorruptFile, "not that of 'a'"},
      {tokenizer_json(R"({"a":0,"a":1})", "[]"), ErrorCode::CorruptFile, ""},
      {tokenizer_json(R"({"a":"0"})", "[]"), ErrorCode::CorruptFile, "model.vocab.a"},
      {tokenizer_json(R"(["a"])", "[]"), ErrorCode::CorruptFile, "model.vocab"},
      {tokenizer_json(kVocabulary, R"(["a  b"])"), ErrorCode::CorruptFile, "merge 0"},
      {tokenizer_json(kVocabulary, R"(["ab"])"), ErrorCode::CorruptFile, "merge 0"},
      {tokenizer_json(kVocabulary, R"([["a","b"],["a"]])"), ErrorCode::CorruptFile,
       "model.merges[1]"},
      {tokenizer_json(kVocabulary, R"([["a","b"],["a","x"]])"), ErrorCode::CorruptFile,
       "found 'x'"},
      {tokenizer_json(kVocabulary, R"([["a","c"]])"), ErrorCode::CorruptFile, "found 'ac'"},
      {tokenizer_json(R"({"a":0,"":1})", R"([["","a"]])"), ErrorCode::CorruptFile,
       "not empty"},  // would merge for ever
      {tokenizer_json(kVocabulary, "{}"), ErrorCode::CorruptFile, "model.merges"},
      {with_added("1", "a"), ErrorCode::CorruptFile, "added token 'a'"},
      {with_added("1", "z"), ErrorCode::CorruptFile, "not that of 'b'"},
      {with_added("-1", "z"), ErrorCode::CorruptFile, "added token 'z'"},
      {with_added("4194304", "z"), ErrorCode::CorruptFile, "added token 'z'"},
      {with_added("7", std::string(2000, 'z')), ErrorCode::CorruptFile, "1024"},
      {with_split(R"j({"Regex":"(a"})j"), ErrorCode::CorruptFile,
       "pre_tokenizer.pretokenizers[0].pattern"},
      {with_split(R"j({"Regex":"[a[b]]"})j"), ErrorCode::Unsupported, "a set within a set"},
      {with_split(R"j({"Regex":"(?m:a)"})j"), ErrorCode::Unsupported, "group"},
      {with_split(R"j({"Regex":"(*UTF)a"})j"), ErrorCode::Unsupported, "verb"},
      {with_split(R"j({"Regex":"\\Ka"})j"), ErrorCode::Unsupported, "\\K"},
      {with_split(R"j({"Regex":"(a)\\1"})j"), ErrorCode::Unsupported, "\\1"},
      {with_split(R"({"String":""})"), ErrorCode::CorruptFile, "pattern"},
      {with_split("{}"), ErrorCode::CorruptFile, "String"},
      {with_split(R"({"String":"a"})", "Sometimes"), ErrorCode::CorruptFile, "behavior"},
      {tokenizer_json(kVocabulary, "[]", R"(,"normalizer":{"type":"Lowercase"})"),
       ErrorCode::Unsupported, "Lowercase"},
      {tokenizer_json(kVocabulary, "[]", R"(,"normalizer":{"type":"Sequence"})"),
       ErrorCode::CorruptFile, "normalizers"},
      {tokenizer_json(kVocabulary, "[]", R"(,"post_processor":{"type":"Other"})"),
       ErrorCode::Unsupported, "Other"},
      {with_template("[]"), ErrorCode::CorruptFile, "post_processor.single"},
      {with_template(R"([{"Sequence":{"id":"B"}}])"), ErrorCode::CorruptFile, "the text A once"},
      {with_template(R"([{"Sequence":{"id":"A"}},{"Sequence":{"id":"A"}}])"),
       ErrorCode::CorruptFile, "the text A once"},
      {with_template(R"([{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}])"),
       ErrorCode::CorruptFile, "special_tokens.x"},
      {with_template(R"([{"SpecialToken":{"id":"z"}},{"Sequence":{"id":"A"}}])"),
       ErrorCode::CorruptFile, "special_tokens"},
  };
  for (const Lie& lie : lies) {
    const TestFolder folder;
    folder.write("tokenizer.json", lie.content);
    const std::string what = error_of(lie.code, [&] { load_tokenizer(folder.path()); });
    EXPECT_NE(what.find(lie.says), std::string::npos) << what;
    EXPECT_NE(what.find("tokenizer.json"), std::string::npos) << what;
    if (::testing::Test::HasFailure()) FAIL() << lie.content.substr(0, 200);
  }
}

TEST(TokenizerLoadTest, WhatIsNoLieLoads) {
  const TestFolder folder;
  folder.write("tokenizer.json", tokenizer_json(kVocabulary, R"(["a b"])"));
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("abcab"), (std::vector<std::int32_t>{2, 3, 2}));
  EXPECT_EQ(tokenizer->encode("xaby"), (std::vector<std::int32_t>{2}));  // bytes of no token vanish
}

TEST(TokenizerLoadTest, LiesBesideVocabularyAndMergesAreNamed) {
  const auto load = [](const std::string& vocabulary, const std::string& merges,
                       const std::string& config = "{}", const std::string& added = "{}") {
    const TestFolder folder;
    folder.write("vocab.json", vocabulary);
    folder.write("merges.txt", merges);
    folder.write("tokenizer_config.json", config);
    folder.write("added_tokens.json", added);
    return load_tokenizer(folder.path())->encode("ab");
  };
  EXPECT_EQ(load(kVocabulary, "#version: 0.2\r\na b\r\n\n"), std::vector<std::int32_t>{2});
  const auto says = [](const std::string& what, const std::string& part) {
    return what.find(part) != std::string::npos;
  };
  EXPECT_TRUE(says(error_of(ErrorCode::CorruptFile, [&] { load(kVocabulary, "a b\na b c\n"); }),
                   "merge 1"));
  EXPECT_TRUE(
      says(error_of(ErrorCode::CorruptFile, [&] { load(kVocabulary, "a \xff\n"); }), "merges.txt"));
  EXPECT_TRUE(says(error_of(ErrorCode::CorruptFile, [&] { load("[1]", ""); }), "vocab.json"));
  EXPECT_TRUE(
      says(error_of(ErrorCode::Unsupported,
                    [&] { load(kVocabulary, "", R"({"tokenizer_class":"CLIPTokenizer"})"); }),
           "CLIPTokenizer"));
  EXPECT_TRUE(says(
      error_of(ErrorCode::CorruptFile,
               [&] { load(kVocabulary, "", R"({"added_tokens_decoder":{"x":{"content":"y"}}})"); }),
      "added_tokens_decoder"));
  EXPECT_TRUE(
      says(error_of(ErrorCode::CorruptFile, [&] { load(kVocabulary, "", "{}", R"({"y":1})"); }),
           "added_tokens.json"));
  EXPECT_TRUE(
      says(error_of(ErrorCode::CorruptFile, [&] { load(kVocabulary, "", R"({"pad_token":3})"); }),
           "pad_token"));
}

TEST(TokenizerLoadTest, MissingFilesAreNamed) {
  const TestFolder folder;
  const auto load = [&] { load_tokenizer(folder.path()); };
  EXPECT_NE(error_of(ErrorCode::CorruptFile, load).find("neither"), std::string::npos);
  folder.write("vocab.json", kVocabulary);
  EXPECT_NE(error_of(ErrorCode::CorruptFile, load).find("no merges.txt"), std::string::npos);
  EXPECT_NE(error_of(ErrorCode::CorruptFile, [&] { load_tokenizer(folder.path() / "none"); })
                .find("none"),
            std::string::npos);
}

TEST(TokenizerLoadTest, NamedSpecialTokensThatAreNowhereElseGetTheNextIds) {
  const TestFolder folder;
  folder.write("vocab.json", kVocabulary);
  folder.write("merges.txt", "");
  folder.write("special_tokens_map.json",
               R"({"pad_token":{"content":"<p>","lstrip":true},"eos_token":"c","unk_token":null})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->settings().pad, 4);
  EXPECT_EQ(tokenizer->settings().eos, 3);
  EXPECT_FALSE(tokenizer->settings().unk);
  EXPECT_EQ(tokenizer->encode("a <p>c"), (std::vector<std::int32_t>{0, 4, 3}));
}

TEST(TokenizerLoadTest, BosAndEosFlagsOfTheConfigReplaceTheTemplate) {
  const TestFolder folder;
  folder.write(
      "tokenizer.json",
      tokenizer_json(kVocabulary, "[]",
                     R"(,"post_processor":{"type":"BertProcessing","sep":["c",3],"cls":["c",3]})"));
  EXPECT_EQ(load_tokenizer(folder.path())->encode("a"), (std::vector<std::int32_t>{3, 0, 3}));
  folder.write("tokenizer_config.json",
               R"({"add_bos_token":true,"add_eos_token":false,"bos_token":"b","eos_token":"c"})");
  EXPECT_EQ(load_tokenizer(folder.path())->encode("a"), (std::vector<std::int32_t>{1, 0}));
}

}  // namespace
}  // namespace annulus

#include "io/tokenizer_unigram.h"

#include <gtest/gtest.h>

#include <random>

#include "io/precompiled_map.h"
#include "io/spiece_model.h"
#include "io/test_folder.h"
#include "io/unicode.h"

namespace annulus {
namespace {

const std::filesystem::path kModels =
    std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests" / "goldens" / "wan";

UnigramModel small_model() {
  const std::vector<Vocabulary::Entry> entries = {{"<unk>", 0}, {"a", 1},       {"b", 2},
                                                  {"ab", 3},    {"abc", 4},     {"ca", 5},
                                                  {"bcab", 6},  {"\xc3\xa9", 7}};
  return {Vocabulary(entries, "test"), {0, -1, -1.5, -1.75, -4, -2, -3, -2.5}, 0};
}

/// The best sum over all ways to cut `text`, by trying them; unknown characters cost -14.
double best_sum(const UnigramModel& model, const std::vector<double>& scores,
                std::string_view text) {
  if (text.empty()) return 0;
  double best = -1e9;
  const std::size_t one = first_character(text).bytes;
  for (std::size_t length = one; length <= text.size(); ++length) {
    const auto id = model.vocabulary().id_of(text.substr(0, length));
    if (!id && length > one) continue;
    const double score = id ? scores[static_cast<std::size_t>(*id)] : -14;
    best = std::max(best, score + best_sum(model, scores, text.substr(length)));
  }
  return best;
}

TEST(UnigramModel, FindsTheCutWhosePiecesScoreMost) {
  const std::vector<double> scores = {0, -1, -1.5, -1.75, -4, -2, -3, -2.5};
  const UnigramModel model = small_model();
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (std::size_t i = random() % 9; i > 0; --i)
      text += std::vector<std::string>{"a", "b", "c", "\xc3\xa9", "z"}[random() % 5];
    std::vector<UnigramModel::Piece> pieces;
    model.pieces(text, pieces);
    double sum = 0;
    std::string joined;
    for (const UnigramModel::Piece& piece : pieces) {
      joined += piece.text;
      sum += piece.id == 0 ? -14.0 * static_cast<double>(piece.text.size())
                           : scores[static_cast<std::size_t>(piece.id)];
    }
    EXPECT_EQ(joined, text);
    EXPECT_NEAR(sum, best_sum(model, scores, text), 1e-9) << text;
  }
}

TEST(UnigramModel, NeighbouringUnknownCharactersAreOnePiece) {
  std::vector<UnigramModel::Piece> pieces;
  small_model().pieces("azzb", pieces);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].text, "zz");
  EXPECT_EQ(pieces[1].id, 0);
}

TEST(UnigramTokenizer, SentencePieceModelAloneGivesTheIdsOfTheTokenizerJson) {
  const auto whole = load_tokenizer(kModels / "wan21" / "tokenizer");
  const auto alone = load_tokenizer(kModels / "wan22_a14b" / "tokenizer");
  EXPECT_EQ(whole->vocabulary_size(), alone->vocabulary_size());
  for (const std::string text :
       {"", "A watercolor painting of mountains",
        "\xe7\xba\xa2\xe8\x89\xb2 caf\xc3\xa9 \xef\xac\x81", "<extra_id_0> x <extra_id_3></s>",
        "  two   blanks ", "\xef\xbc\xa1\xef\xbc\xa2 A\xcc\x81"})
    EXPECT_EQ(whole->encode(text), alone->encode(text)) << text;
}

TEST(UnigramTokenizer, DamagedFilesAreRefusedByName) {
  EXPECT_THROW(PrecompiledMap("", "x"), Error);
  EXPECT_THROW(PrecompiledMap(std::string("\x08\0\0\0abcd", 8), "x"), Error);
  EXPECT_THROW(bytes_of_base64("abc", "x"), Error);
  EXPECT_THROW(bytes_of_base64("ab=c", "x"), Error);
  EXPECT_EQ(bytes_of_base64("YW55IGNhcm5hbA==", "x"), "any carnal");
  const std::string cut = "\x0a\x7f piece";  // says more bytes than there are
  EXPECT_THROW(parse_spiece_model(std::as_bytes(std::span(cut)), "x"), Error);
  EXPECT_THROW(parse_spiece_model({}, "x"), Error);
  TestFolder folder;
  folder.write("tokenizer.json",
               R"({"model": {"type": "Unigram", "unk_id": 3, "vocab": [["a", 0]]}})");
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
}

}  // namespace
}  // namespace annulus

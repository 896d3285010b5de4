#include "io/bpe.h"

#include <gtest/gtest.h>

#include <random>

#include "io/bpe_bytes.h"

namespace annulus {
namespace {

/// The definition: again and again the pair of the lowest rank, the leftmost of equals.
std::vector<std::int32_t> merged_slowly(std::vector<std::int32_t> word,
                                        const Vocabulary& vocabulary,
                                        const std::vector<BpeMerges::Pair>& pairs) {
  for (;;) {
    std::size_t best_rank = pairs.size(), best_at = 0;
    for (std::size_t at = 0; at + 1 < word.size(); ++at)
      for (std::size_t rank = 0; rank < best_rank; ++rank)
        if (vocabulary.token_of(word[at]) == pairs[rank].first &&
            vocabulary.token_of(word[at + 1]) == pairs[rank].second) {
          best_rank = rank;
          best_at = at;
        }
    if (best_rank == pairs.size()) return word;
    const std::string whole =
        std::string(pairs[best_rank].first) + std::string(pairs[best_rank].second);
    word[best_at] = vocabulary.id_of(whole).value();
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(BpeTest, MergingEqualsItsDefinition) {
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    // A random vocabulary over three letters; each token is made by one merge only, as in trained
    // files.
    std::vector<std::string> tokens = {"a", "b", "c"};
    std::vector<std::pair<std::string, std::string>> parts;
    for (int i = 0; i < 25; ++i) {
      const std::string left = tokens[random() % tokens.size()],
                        right = tokens[random() % tokens.size()];
      if (left.size() + right.size() > 8 ||
          std::find(tokens.begin(), tokens.end(), left + right) != tokens.end())
        continue;
      tokens.push_back(left + right);
      parts.emplace_back(left, right);
    }
    std::vector<Vocabulary::Entry> entries;
    for (std::size_t i = 0; i < tokens.size(); ++i)
      entries.push_back({tokens[i], static_cast<std::int64_t>(i)});
    const Vocabulary vocabulary(entries, "test");
    const std::vector<BpeMerges::Pair> pairs(parts.begin(), parts.end());
    const BpeMerges merges(vocabulary, pairs, "test");
    BpeMerges::Scratch scratch;
    for (const std::size_t length : {0u, 1u, 2u, 3u, 17u, 60u}) {
      std::vector<std::int32_t> word;
      for (std::size_t i = 0; i < length; ++i)
        word.push_back(static_cast<std::int32_t>(random() % 3));
      const auto want = merged_slowly(word, vocabulary, pairs);
      merges.merge(word, scratch);
      EXPECT_EQ(word, want) << "round " << round << ", length " << length;
    }
  }
}

TEST(BpeTest, NoMergesLeaveAWordAlone) {
  std::vector<std::int32_t> word = {5, 6, 5};
  BpeMerges::Scratch scratch;
  BpeMerges().merge(word, scratch);
  EXPECT_EQ(word, (std::vector<std::int32_t>{5, 6, 5}));
}

TEST(BpeTest, EveryByteHasANameThatLeadsBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(bpe_bytes_of(bpe_name_of(all)), all);
  EXPECT_EQ(bpe_name_of(" \n\xc2\xa0!"), "\u0120\u010a\u00c2\u0142!");
  EXPECT_FALSE(bpe_bytes_of(" "));
  EXPECT_FALSE(bpe_bytes_of("\u0144"));
}

}  // namespace
}  // namespace annulus

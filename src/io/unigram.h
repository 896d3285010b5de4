// The Unigram model: a text is cut into the pieces whose scores add up to the most. After Hugging
// Face tokenizers 0.23. Start with `pieces`.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "io/tokenizer_vocabulary.h"

namespace annulus {

class UnigramModel {
 public:
  /// A part of a text and its id; `id` is unk for runs of characters that no piece covers.
  struct Piece {
    std::string_view text;
    std::int32_t id;
  };

  UnigramModel() = default;
  /// `scores[id]` of every id of the vocabulary, finite. `unk` is in range.
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::int32_t unk);

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  std::int32_t unk() const noexcept { return unk_; }

  /// Appends the pieces of `text` (well-formed) in order. O(length x longest piece).
  void pieces(std::string_view text, std::vector<Piece>& out) const;

 private:
  struct Entry {
    std::string_view token;
    std::int32_t id;
  };
  /// Calls `take(entry)` for each piece that `text` begins with, the shortest first.
  template <class Take>
  void prefixes(std::string_view text, Take take) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::vector<Entry> sorted_;  // by their bytes
  std::int32_t unk_ = 0;
  double unk_score_ = 0;
};

}  // namespace annulus

// Byte pair encoding: which pairs of neighbouring symbols become one, and the order in which that
// happens. Symbols are token ids; how a text becomes its first symbols is the business of each kind
// of tokenizer. Start with `merge`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/tokenizer_vocabulary.h"

namespace annulus {

class BpeMerges {
 public:
  using Pair = std::pair<std::string_view, std::string_view>;

  BpeMerges() = default;
  /// `pairs` in order of priority; each side and their concatenation is a token of `vocabulary`.
  /// `where` is file and entry, for messages. Throws CorruptFile naming the merge that is empty on
  /// a side (it would merge for ever) or not in the vocabulary. Of a pair that stands twice the
  /// later place counts, as in Hugging Face tokenizers.
  BpeMerges(const Vocabulary& vocabulary, const std::vector<Pair>& pairs, const std::string& where);

  /// Memory that `merge` reuses from word to word.
  struct Scratch {
    struct Symbol {
      std::int32_t id;  // -1: merged into the symbol before it
      std::int32_t previous, next;
    };
    struct Candidate {
      std::uint32_t rank;
      std::int32_t position;
      std::int32_t id;  // what the pair becomes
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Merges neighbours in `word` until no pair is left that can be: always the pair of the lowest
  /// rank, the leftmost of equals (Sennrich et al. 2016, section 3.2; Word::merge_all in
  /// tokenizers). `word` is updated. O(n log n).
  void merge(std::vector<std::int32_t>& word, Scratch& scratch) const;

  std::size_t size() const noexcept { return count_; }

 private:
  struct Slot {
    std::uint64_t pair = kNoPair;
    std::uint32_t rank = 0;
    std::int32_t id = 0;
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

  const Slot* find(std::int32_t left, std::int32_t right) const noexcept;
  Slot& slot_for(std::uint64_t pair) noexcept;
  void propose(Scratch& scratch, std::int32_t position) const;

  std::vector<Slot> table_;  // open addressing; a power of two, at most half full
  std::size_t count_ = 0;
};

}  // namespace annulus

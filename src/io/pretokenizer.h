// Cutting a text into the words that a byte-level BPE works on one by one: the `pre_tokenizer` of
// tokenizer.json. Start with `words`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/pretokenizer_pattern.h"

namespace annulus {

class Pretokenizer {
 public:
  /// What becomes of the matches of a pattern: SplitDelimiterBehavior of Hugging Face tokenizers.
  enum class Behavior { Isolated, Removed, Contiguous, MergedWithPrevious, MergedWithNext };

  /// Leaves a text whole.
  Pretokenizer() = default;

  /// Qwen2Tokenizer and GPT2Tokenizer of transformers: what their classes use without a
  /// tokenizer.json.
  static Pretokenizer qwen2(bool add_prefix_space);
  static Pretokenizer gpt2(bool add_prefix_space);

  /// The entry `pre_tokenizer`: ByteLevel, alone or as the last of a Sequence of Split and Digits.
  /// Throws CorruptFile, and Unsupported for another type or order.
  static Pretokenizer from_json(const Json& entry);

  /// Calls `take` with each word of `text` (well-formed, part of a text between added tokens), in
  /// order.
  void words(std::string_view text, const std::function<void(std::string_view)>& take) const;

 private:
  struct Split {
    Pattern pattern;
    Behavior behavior;
    bool invert;  // the matches are what lies between those of the pattern
  };
  void add(const Json& entry, int depth);
  void byte_level(std::string_view piece, const std::function<void(std::string_view)>& take) const;

  std::vector<Split> splits_;
  std::optional<Pattern> byte_level_pattern_;  // GPT-2's, where ByteLevel has use_regex
  bool add_prefix_space_ = false;
  bool complete_ = false;  // the ByteLevel was seen
};

/// The parts into which `behavior` cuts a text of `size` bytes at `matches` (ordered, without
/// overlap); none is empty.
std::vector<TextRange> split_at(std::size_t size, const std::vector<TextRange>& matches,
                                Pretokenizer::Behavior behavior, bool invert);

}  // namespace annulus

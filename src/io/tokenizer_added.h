// Added tokens: strings such as <|im_start|> that are cut out of a text before anything else looks
// at it, each one id. Start with `split`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace annulus {

/// As in Hugging Face tokenizers' AddedToken.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool normalized =
      false;  // looked for in the normalised text, itself normalised; else in the text as given
  bool special = false;  // decoding may leave it out
};

/// A part of a text: a token, or text between tokens.
struct TextPiece {
  std::string_view text;
  std::int32_t id = -1;  // -1: not a token
};

/// Finds one set of strings in a text: at each place the longest, from left to right.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  /// `spellings[i]` is what `tokens[i]` looks like in the text. Empty ones never match; of two
  /// equal ones the first counts.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& spellings);

  /// Appends the parts of `text` in order to `pieces`; parts of text are not empty. O(length x
  /// longest token).
  void split(std::string_view text, std::vector<TextPiece>& pieces) const;

 private:
  struct Match {
    std::size_t token = 0, bytes = 0;
  };
  Match longest_at(std::string_view text) const;
  static std::uint64_t edge(std::uint32_t node, char byte) noexcept {
    return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
  }

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::uint64_t, std::uint32_t>
      edges_;                        // a trie: (node, byte) -> node; node 0 is the root
  std::vector<std::uint32_t> ends_;  // by node: 1 + the token that ends there, or 0
  std::vector<bool> starts_ = std::vector<bool>(256);  // first bytes
};

}  // namespace annulus

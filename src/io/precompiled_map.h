// SentencePiece's precompiled character map: a trie (double array, as darts-clone writes it) of
// strings and what each becomes. Used as Hugging Face tokenizers does, whose results differ from
// SentencePiece's own in places. Start with `apply`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace annulus {

class PrecompiledMap {
 public:
  /// `bytes` as in a NormalizerSpec: the trie's size in bytes (u32, little-endian), its units, then
  /// the replacements, each ended by a 0. `where` is file and entry, for messages. Throws
  /// CorruptFile.
  PrecompiledMap(std::string_view bytes, const std::string& where);

  /// `text` (well-formed) with each grapheme cluster of at most five bytes, else each character,
  /// replaced by what the map has for it: the shortest string of the trie at its front counts.
  std::string apply(std::string_view text) const;

 private:
  std::optional<std::string_view> replacement(std::string_view part) const noexcept;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

/// The bytes of standard base64 (RFC 4648, padded). `where` is for messages. Throws CorruptFile.
std::string bytes_of_base64(std::string_view text, const std::string& where);

}  // namespace annulus

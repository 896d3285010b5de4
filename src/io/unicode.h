// Unicode for the tokenizers: checking and repairing UTF-8, walking it, normal forms, and two
// character classes. Not here: patterns (pretokenizer_pattern.h). Start with `find_invalid_utf8`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace annulus {

/// Offset of the first byte that is not part of well-formed UTF-8 (no surrogates, no overlong
/// forms, at most U+10FFFF), or npos when there is none.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// `text` with U+FFFD for each ill-formed part, one per maximal subpart (Unicode 15, section 3.9;
/// Rust's from_utf8_lossy).
std::string replace_invalid_utf8(std::string_view text);

/// `text` in single quotes for an error's one line: control characters become \xNN, ill-formed
/// parts U+FFFD, and all after 60 bytes "...".
std::string in_quotes(std::string_view text);

/// The character at the front of `text` and its length in bytes (1 to 4). `text` is well-formed and
/// not empty.
struct Character {
  char32_t code;
  std::size_t bytes;
};
Character first_character(std::string_view text) noexcept;
/// The same at the back.
Character last_character(std::string_view text) noexcept;
/// Bytes of the extended grapheme cluster at the front of `text` (well-formed, not empty).
std::size_t first_grapheme(std::string_view text) noexcept;
/// Appends `code` as UTF-8. `code` is a Unicode scalar value.
void append_utf8(std::string& text, char32_t code);

enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };

/// `text` in a Unicode normal form. `text` is well-formed. Throws OutOfMemory, and InvalidRequest
/// for text over 1 GiB. utf8proc's tables are newer than those of the reference (Hugging Face
/// tokenizers 0.23 has Unicode 9): marks of scripts encoded since then, when they stand in another
/// than the canonical order, are put in order here and left there.
std::string normalized(std::string_view text, NormalForm form);

/// White_Space, and `\w` of UTS 18 (Alphabetic, marks, decimal digits, connector punctuation,
/// joiners): the classes of Rust's regex crate, by which added tokens strip and find word borders.
bool is_white_space(char32_t code) noexcept;
bool is_word_character(char32_t code) noexcept;

}  // namespace annulus

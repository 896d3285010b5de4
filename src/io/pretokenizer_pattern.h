// A pattern of a tokenizer file (a regular expression in Oniguruma's syntax, or a plain string) and
// its matches in a text. PCRE2 runs it; where the two dialects differ the expression is rewritten,
// or refused. Start with `matches`.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace annulus {

struct TextRange {
  std::size_t begin, end;  // bytes
  bool operator==(const TextRange&) const = default;
};

class Pattern {
 public:
  /// `expression` as Hugging Face tokenizers hand it to Oniguruma (Ruby syntax).
  ///
  ///   where  file and entry, for messages
  ///
  /// Throws CorruptFile when it does not compile, Unsupported for a construct whose meaning differs
  /// in PCRE2.
  static Pattern regex(std::string_view expression, const std::string& where);
  /// The pattern that matches `text` itself. Throws CorruptFile when it is empty or too long.
  static Pattern literal(std::string_view text, const std::string& where);

  /// Matches from left to right that do not overlap; an empty match is taken unless it touches the
  /// one before it, as the onig crate does. `text` is well-formed UTF-8. Throws CorruptFile when
  /// the pattern needs more than a fixed number of steps on this text.
  std::vector<TextRange> matches(std::string_view text) const;

 private:
  struct Compiled;
  explicit Pattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  static Pattern compile(const std::string& expression, const std::string& where);

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace annulus

// What a tokenizer does to a text before it looks for words: the `normalizer` of tokenizer.json.
// Start with `from_json`.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/json.h"
#include "io/precompiled_map.h"
#include "io/pretokenizer_pattern.h"
#include "io/unicode.h"

namespace annulus {

class Normalizer {
 public:
  /// Leaves texts as they are.
  Normalizer() = default;
  /// NFC, NFD, NFKC or NFKD alone.
  explicit Normalizer(NormalForm form) { steps_.emplace_back(form); }
  /// The entry `normalizer`: null, NFC, NFD, NFKC, NFKD, Replace, Prepend, Precompiled, Strip,
  /// or a Sequence of these. Throws CorruptFile, and Unsupported for another type.
  static Normalizer from_json(const Json& entry);

  /// A SentencePiece map alone.
  explicit Normalizer(PrecompiledMap map) { steps_.emplace_back(std::move(map)); }

  bool does_nothing() const noexcept { return steps_.empty(); }
  /// `text` is well-formed UTF-8.
  std::string apply(std::string_view text) const;

 private:
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Prepend {
    std::string content;
  };
  struct Strip {
    bool left, right;
  };
  void add(const Json& entry, int depth);

  std::vector<std::variant<NormalForm, Replace, Prepend, PrecompiledMap, Strip>> steps_;
};

/// `{"String": ...}` or `{"Regex": ...}` as tokenizer.json writes patterns.
Pattern pattern_from_json(const Json& entry);

}  // namespace annulus

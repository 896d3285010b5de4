#include "io/tokenizer_unigram.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "io/unicode.h"

namespace annulus {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// transformers' clean_up_tokenization.
void clean_up(std::string& text) {
  static constexpr std::array<std::array<std::string_view, 2>, 10> kRules = {{{" .", "."},
                                                                              {" ?", "?"},
                                                                              {" !", "!"},
                                                                              {" ,", ","},
                                                                              {" ' ", "'"},
                                                                              {" n't", "n't"},
                                                                              {" 'm", "'m"},
                                                                              {" 's", "'s"},
                                                                              {" 've", "'ve"},
                                                                              {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

class UnigramTokenizer final : public Tokenizer {
 public:
  UnigramTokenizer(UnigramParts parts, std::vector<AddedToken> added, TokenizerSettings settings);

  std::optional<std::int32_t> id_of(std::string_view token) const override {
    const auto found = added_ids_.find(std::string(token));
    return found != added_ids_.end() ? std::optional(found->second)
                                     : parts_.model.vocabulary().id_of(token);
  }
  std::int32_t vocabulary_size() const noexcept override { return end_id_; }

 private:
  std::vector<std::int32_t> encode_text(std::string_view text) const override;
  std::string decode_bytes(std::span<const std::int32_t> ids,
                           bool skip_special_tokens) const override;
  void encode_word(std::string_view word, std::vector<UnigramModel::Piece>& pieces,
                   std::vector<std::int32_t>& ids) const;

  UnigramParts parts_;
  std::unordered_map<std::int32_t, AddedToken> added_;  // by id
  std::unordered_map<std::string, std::int32_t> added_ids_;
  AddedTokenFinder in_text_, in_normalized_text_;
  std::int32_t end_id_ = 0;
};

UnigramTokenizer::UnigramTokenizer(UnigramParts parts, std::vector<AddedToken> added,
                                   TokenizerSettings settings)
    : Tokenizer(std::move(settings)),
      parts_(std::move(parts)),
      end_id_(parts_.model.vocabulary().end_id()) {
  std::vector<AddedToken> plain, normalized_ones;
  std::vector<std::string> plain_spellings, normalized_spellings;
  std::stable_sort(added.begin(), added.end(),
                   [](const auto& a, const auto& b) { return a.special > b.special; });
  for (AddedToken& token : added) {
    end_id_ = std::max(end_id_, token.id + 1);
    added_ids_.emplace(token.content, token.id);
    (token.normalized ? normalized_ones : plain).push_back(token);
    (token.normalized ? normalized_spellings : plain_spellings)
        .push_back(token.normalized ? parts_.normalizer.apply(token.content) : token.content);
    added_.emplace(token.id, std::move(token));
  }
  in_text_ = AddedTokenFinder(std::move(plain), plain_spellings);
  in_normalized_text_ = AddedTokenFinder(std::move(normalized_ones), normalized_spellings);
}

std::vector<std::int32_t> UnigramTokenizer::encode_text(std::string_view text) const {
  std::vector<std::int32_t> ids;
  std::vector<UnigramModel::Piece> pieces;
  std::vector<TextPiece> outer, inner;
  in_text_.split(text, outer);
  for (const TextPiece& piece : outer) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    const std::string plain = parts_.normalizer.apply(piece.text);
    inner.clear();
    in_normalized_text_.split(plain, inner);
    for (const TextPiece& part : inner) {
      if (part.id >= 0) {
        ids.push_back(part.id);
        continue;
      }
      const bool first = piece.text.data() == text.data() && part.text.data() == plain.data();
      parts_.metaspace.words(part.text, first,
                             [&](std::string_view word) { encode_word(word, pieces, ids); });
    }
  }
  return ids;
}

void UnigramTokenizer::encode_word(std::string_view word, std::vector<UnigramModel::Piece>& pieces,
                                   std::vector<std::int32_t>& ids) const {
  pieces.clear();
  parts_.model.pieces(word, pieces);
  for (const UnigramModel::Piece& piece : pieces) {
    if (piece.id != parts_.model.unk() || !parts_.byte_fallback) {
      ids.push_back(piece.id);
      continue;
    }
    std::vector<std::int32_t> bytes;
    for (const char c : piece.text) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      const std::string name = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
      if (const auto id = parts_.model.vocabulary().id_of(name)) bytes.push_back(*id);
    }
    if (bytes.size() == piece.text.size())
      ids.insert(ids.end(), bytes.begin(), bytes.end());
    else
      ids.push_back(piece.id);
  }
}

std::string UnigramTokenizer::decode_bytes(std::span<const std::int32_t> ids,
                                           bool skip_special_tokens) const {
  const std::string& mark = parts_.metaspace.mark;
  std::string text;
  bool first = true;
  for (const std::int32_t id : ids) {
    const auto added = added_.find(id);
    if (added != added_.end() && skip_special_tokens && added->second.special) continue;
    const auto token = added != added_.end()
                           ? std::optional<std::string_view>(added->second.content)
                           : parts_.model.vocabulary().token_of(id);
    if (!token) continue;
    std::string piece(*token);
    const bool drop = first && parts_.metaspace.prepend != Metaspace::Prepend::Never;
    replace_all(piece, mark, drop ? "" : " ");
    text += piece;
    first = false;
  }
  if (parts_.clean_up) clean_up(text);
  return text;
}

Metaspace::Prepend prepend_of(const Json& entry) {
  const std::string scheme = entry.get<std::string>(
      "prepend_scheme", entry.get<bool>("add_prefix_space", true) ? "always" : "never");
  if (scheme == "always") return Metaspace::Prepend::Always;
  if (scheme == "first") return Metaspace::Prepend::First;
  if (scheme != "never") entry["prepend_scheme"].fail("always, first or never");
  return Metaspace::Prepend::Never;
}

}  // namespace

Metaspace Metaspace::from_json(const Json& entry) {
  Metaspace made;
  const auto fail = [](const Json& at) {
    throw Error(ErrorCode::Unsupported,
                text_of(at.path(), ": wanted Metaspace, alone or after WhitespaceSplit, found ",
                        at.get<std::string>("type", "nothing"), " (", at.where(), ")"));
  };
  std::vector<Json> steps = {entry};
  if (entry.get<std::string>("type", "") == "Sequence")
    steps = entry["pretokenizers"].as<std::vector<Json>>();
  bool complete = false;
  for (const Json& step : steps) {
    const auto type = step.get<std::string>("type", "");
    if (type == "WhitespaceSplit" && !complete && !made.split_at_white_space) {
      made.split_at_white_space = true;
    } else if (type == "Metaspace" && !complete) {
      complete = true;
      made.mark = step.get<std::string>("replacement", std::string(made.mark));
      if (made.mark.empty()) step["replacement"].fail("a character");
      made.prepend = prepend_of(step);
      made.split_at_mark = step.get<bool>("split", true);
    } else {
      fail(step);
    }
  }
  if (!complete) fail(entry);
  return made;
}

template <class Take>
void Metaspace::words(std::string_view text, bool first, Take take) const {
  const auto with_marks = [&](std::string_view part, bool at_front) {
    std::string word(part);
    replace_all(word, " ", mark);
    const bool wanted = prepend == Prepend::Always || (prepend == Prepend::First && at_front);
    if (wanted && !word.starts_with(mark)) word.insert(0, mark);
    if (!split_at_mark) return take(word);
    const std::string_view whole = word;  // each mark begins a word
    for (std::size_t begin = 0; begin < whole.size();) {
      const std::size_t end = std::min(whole.find(mark, begin + 1), whole.size());
      take(whole.substr(begin, end - begin));
      begin = end;
    }
  };
  if (!split_at_white_space) {
    if (!text.empty()) with_marks(text, first);
    return;
  }
  const std::string_view all = text;
  while (!text.empty()) {
    std::size_t bytes = 0;
    while (bytes < text.size() && !is_white_space(first_character(text.substr(bytes)).code))
      bytes += first_character(text.substr(bytes)).bytes;
    if (bytes > 0) with_marks(text.substr(0, bytes), first && text.data() == all.data());
    text.remove_prefix(bytes);
    if (!text.empty()) text.remove_prefix(first_character(text).bytes);
  }
}

std::unique_ptr<Tokenizer> make_unigram(UnigramParts parts, std::vector<AddedToken> added,
                                        TokenizerSettings settings) {
  return std::make_unique<UnigramTokenizer>(std::move(parts), std::move(added),
                                            std::move(settings));
}

}  // namespace annulus

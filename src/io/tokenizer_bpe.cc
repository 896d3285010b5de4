#include "io/tokenizer_bpe.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "io/bpe_bytes.h"

namespace annulus {
namespace {

class ByteLevelBpeTokenizer final : public Tokenizer {
 public:
  ByteLevelBpeTokenizer(ByteLevelBpe parts, std::vector<AddedToken> added,
                        TokenizerSettings settings);

  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::int32_t vocabulary_size() const noexcept override { return end_id_; }

 private:
  static constexpr std::int32_t kNoToken = -1;

  std::vector<std::int32_t> encode_text(std::string_view text) const override;
  std::string decode_bytes(std::span<const std::int32_t> ids,
                           bool skip_special_tokens) const override;
  /// Appends the ids of `word` to `ids`. `symbols` and `scratch` are memory to reuse.
  void encode_word(std::string_view word, std::vector<std::int32_t>& symbols,
                   BpeMerges::Scratch& scratch, std::vector<std::int32_t>& ids) const;

  ByteLevelBpe parts_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::unordered_map<std::int32_t, AddedToken> added_;  // by id
  std::unordered_map<std::string, std::int32_t> added_ids_;
  AddedTokenFinder in_text_, in_normalized_text_;
  std::int32_t end_id_ = 0;
};

ByteLevelBpeTokenizer::ByteLevelBpeTokenizer(ByteLevelBpe parts, std::vector<AddedToken> added,
                                             TokenizerSettings settings)
    : Tokenizer(std::move(settings)),
      parts_(std::move(parts)),
      end_id_(parts_.vocabulary.end_id()) {
  const std::array<std::string, 256> names = bpe_byte_names();
  for (std::size_t byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = parts_.vocabulary.id_of(names[byte]).value_or(kNoToken);

  std::vector<AddedToken> plain, normalized_ones;
  std::vector<std::string> plain_spellings, normalized_spellings;
  // Special tokens first: of two with one spelling after normalisation the reference prefers those.
  std::stable_sort(added.begin(), added.end(),
                   [](const auto& a, const auto& b) { return a.special > b.special; });
  for (AddedToken& token : added) {
    end_id_ = std::max(end_id_, token.id + 1);
    added_ids_.emplace(token.content, token.id);
    (token.normalized ? normalized_ones : plain).push_back(token);
    // What is looked for is also what decoding gives back.
    if (token.normalized) token.content = parts_.normalizer.apply(token.content);
    (token.normalized ? normalized_spellings : plain_spellings).push_back(token.content);
    added_.emplace(token.id, std::move(token));
  }
  in_text_ = AddedTokenFinder(std::move(plain), plain_spellings);
  in_normalized_text_ = AddedTokenFinder(std::move(normalized_ones), normalized_spellings);
}

std::optional<std::int32_t> ByteLevelBpeTokenizer::id_of(std::string_view token) const {
  const auto found = added_ids_.find(std::string(token));
  return found != added_ids_.end() ? std::optional(found->second) : parts_.vocabulary.id_of(token);
}

std::vector<std::int32_t> ByteLevelBpeTokenizer::encode_text(std::string_view text) const {
  std::vector<std::int32_t> ids, symbols;
  BpeMerges::Scratch scratch;
  std::vector<TextPiece> pieces, inner;
  const auto take = [&](std::string_view word) { encode_word(word, symbols, scratch, ids); };
  in_text_.split(text, pieces);
  for (const TextPiece& piece : pieces) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      continue;
    }
    const std::string plain = parts_.normalizer.apply(piece.text);
    inner.clear();
    in_normalized_text_.split(plain, inner);
    for (const TextPiece& part : inner) {
      if (part.id >= 0)
        ids.push_back(part.id);
      else
        parts_.pretokenizer.words(part.text, take);
    }
  }
  return ids;
}

void ByteLevelBpeTokenizer::encode_word(std::string_view word, std::vector<std::int32_t>& symbols,
                                        BpeMerges::Scratch& scratch,
                                        std::vector<std::int32_t>& ids) const {
  if (parts_.ignore_merges) {
    if (const auto whole = parts_.vocabulary.id_of(bpe_name_of(word))) {
      ids.push_back(*whole);
      return;
    }
  }
  symbols.clear();
  bool after_unknown = false;
  for (const char byte : word) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id != kNoToken) {
      symbols.push_back(id);
      after_unknown = false;
    } else if (parts_.unk) {
      if (!after_unknown || !parts_.fuse_unk) symbols.push_back(*parts_.unk);
      after_unknown = true;
    }
  }
  parts_.merges.merge(symbols, scratch);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

std::string ByteLevelBpeTokenizer::decode_bytes(std::span<const std::int32_t> ids,
                                                bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    const auto added = added_.find(id);
    if (added != added_.end() && skip_special_tokens && added->second.special) continue;
    const auto token = added != added_.end()
                           ? std::optional<std::string_view>(added->second.content)
                           : parts_.vocabulary.token_of(id);
    if (token) bytes += bpe_bytes_of(*token).value_or(std::string(*token));
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Tokenizer> make_byte_level_bpe(ByteLevelBpe parts, std::vector<AddedToken> added,
                                               TokenizerSettings settings) {
  return std::make_unique<ByteLevelBpeTokenizer>(std::move(parts), std::move(added),
                                                 std::move(settings));
}

}  // namespace annulus

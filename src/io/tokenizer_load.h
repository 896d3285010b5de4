// Steps of reading a tokenizer folder that every kind of tokenizer shares. For the loaders only;
// users call load_tokenizer (tokenizer.h).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/json.h"
#include "io/tokenizer.h"
#include "io/tokenizer_added.h"
#include "io/tokenizer_bpe.h"

namespace annulus {

/// The small files of a folder, objects all; empty where one does not exist.
struct TokenizerFiles {
  std::filesystem::path folder;
  Json config;        // tokenizer_config.json
  Json special_map;   // special_tokens_map.json
  Json added_tokens;  // added_tokens.json
};

TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder);

/// The tokenizer that `all`, a tokenizer.json, describes. Throws as load_tokenizer.
std::unique_ptr<Tokenizer> tokenizer_from_json(const Json& all, const TokenizerFiles& files);

/// The one of a vocab.json and the text of a merges.txt; `merges_name` is for messages.
std::unique_ptr<Tokenizer> tokenizer_from_tables(const Json& vocabulary, std::string_view merges,
                                                 const std::string& merges_name,
                                                 const TokenizerFiles& files);

/// The one of a SentencePiece model file for T5's classes. `name` is the file, for messages. Throws
/// as load_tokenizer.
std::unique_ptr<Tokenizer> tokenizer_from_spiece(std::span<const std::byte> bytes,
                                                 const std::string& name,
                                                 const TokenizerFiles& files);

/// The special tokens that a class of transformers has when the config names none.
struct SpecialTokenDefaults {
  std::optional<std::string> eos, pad, unk;
};

/// Added tokens while they are collected from several files: the first mention of a content counts,
/// as in transformers.
class AddedTokenList {
 public:
  explicit AddedTokenList(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), next_id_(vocabulary.end_id()) {}

  /// Adds a token unless its content is empty or known.
  ///
  ///   id    as the file says, or nothing: the vocabulary's, else the next that is free
  ///   where file and entry, for messages
  ///
  /// Throws CorruptFile when `id` is out of range, belongs to another token or contradicts the
  /// vocabulary.
  void add(AddedToken token, std::optional<std::int64_t> id, const std::string& where);
  std::optional<std::int32_t> id_of(const std::string& content) const;
  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  const Vocabulary& vocabulary_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_map<std::int32_t, std::string> owners_;
  std::int32_t next_id_;
};

/// Adds the tokens of `added_tokens_decoder` in the config or, when it has none, of
/// added_tokens.json; then the named special tokens that are not there yet.
void add_tokens_of_files(const TokenizerFiles& files, const SpecialTokenDefaults& defaults,
                         AddedTokenList& added);

/// Ids of the special tokens, sides and lengths. `add_bos_token` or `add_eos_token` in the config
/// replace `settings.before` and `after` (which come from tokenizer.json), as in transformers 5.
/// `settings` is updated.
void read_settings(const TokenizerFiles& files, const SpecialTokenDefaults& defaults,
                   const AddedTokenList& added, TokenizerSettings& settings);

/// One entry of `added_tokens` or `added_tokens_decoder`: content and flags.
AddedToken added_token_from_json(const Json& entry);

/// `post_processor` of tokenizer.json: the ids around a text. `settings.before` and `after` are
/// updated. Throws CorruptFile, and Unsupported for another form.
void read_post_processor(const Json& entry, TokenizerSettings& settings);

}  // namespace annulus

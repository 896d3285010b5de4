// Special and added tokens of a tokenizer folder, after _from_pretrained and
// TokenizersBackend.__init__ of transformers 5.
#include <algorithm>
#include <array>
#include <charconv>

#include "io/tokenizer_load.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kMaxContent =
    1024;  // bytes of one added token: bounds the time to look for it

constexpr std::array<std::string_view, 7> kNamed = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
constexpr std::array<std::string_view, 2> kLists = {"additional_special_tokens",
                                                    "extra_special_tokens"};

Json read_if_there(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return Json::object();
  Json read = Json::read(file, ErrorCode::CorruptFile);
  if (!read.is_object()) read.fail("an object");
  return read;
}

bool has_decoder(const TokenizerFiles& files) {
  return files.config.find("added_tokens_decoder").has_value();
}

/// The entry `key` of special_tokens_map.json (which counts only without added_tokens_decoder) or
/// the config.
std::optional<Json> special_entry(const TokenizerFiles& files, std::string_view key) {
  if (!has_decoder(files) && files.special_map.has(key)) return files.special_map.find(key);
  return files.config.find(key);
}

AddedToken special_token(std::string content) {
  AddedToken token;
  token.content = std::move(content);
  token.special = true;
  return token;
}

/// A special token as written in a config: a string or an object.
AddedToken special_token_of(const Json& entry) {
  if (entry.is_string()) return special_token(entry.as<std::string>());
  AddedToken token = added_token_from_json(entry);
  token.special = true;
  token.normalized = entry.get<bool>("normalized", false);
  return token;
}

std::optional<AddedToken> named_token(const TokenizerFiles& files,
                                      const SpecialTokenDefaults& defaults, std::string_view key) {
  if (const auto entry = special_entry(files, key)) return special_token_of(*entry);
  const bool null = files.config.has(key) || (!has_decoder(files) && files.special_map.has(key));
  const std::optional<std::string>* fallback = nullptr;
  if (key == "eos_token") fallback = &defaults.eos;
  if (key == "pad_token") fallback = &defaults.pad;
  if (key == "unk_token") fallback = &defaults.unk;
  if (null || fallback == nullptr || !*fallback) return std::nullopt;
  return special_token(**fallback);
}

std::vector<AddedToken> special_tokens(const TokenizerFiles& files,
                                       const SpecialTokenDefaults& defaults) {
  std::vector<AddedToken> tokens;
  for (const std::string_view key : kNamed)
    if (auto token = named_token(files, defaults, key)) tokens.push_back(std::move(*token));
  for (const std::string_view key : kLists) {
    const auto list = special_entry(files, key);
    if (!list) continue;
    if (list->is_object()) {
      for (const auto& [name, entry] : list->members())
        if (!entry.is_null()) tokens.push_back(special_token_of(entry));
    } else {
      for (const Json& entry : list->elements()) tokens.push_back(special_token_of(entry));
    }
  }
  return tokens;
}

std::int64_t id_written_as_key(std::string_view key, const Json& entry) {
  std::int64_t id = 0;
  const auto [end, problem] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (problem != std::errc() || end != key.data() + key.size()) entry.fail("an id as the key", key);
  return id;
}

}  // namespace

TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder) {
  return {folder, read_if_there(folder / "tokenizer_config.json"),
          read_if_there(folder / "special_tokens_map.json"),
          read_if_there(folder / "added_tokens.json")};
}

AddedToken added_token_from_json(const Json& entry) {
  AddedToken token;
  token.content = entry.get<std::string>("content");
  token.single_word = entry.get<bool>("single_word", false);
  token.lstrip = entry.get<bool>("lstrip", false);
  token.rstrip = entry.get<bool>("rstrip", false);
  token.special = entry.get<bool>("special", false);
  token.normalized = entry.get<bool>("normalized", !token.special);
  return token;
}

void AddedTokenList::add(AddedToken token, std::optional<std::int64_t> id,
                         const std::string& where) {
  if (token.content.empty()) return;
  const auto fail = [&](const std::string& wanted, std::int64_t found) {
    throw Error(ErrorCode::CorruptFile,
                text_of("added token ", in_quotes(token.content), ": wanted ", wanted, ", found ",
                        found, " (", where, ")"));
  };
  if (token.content.size() > kMaxContent)
    fail(text_of("at most ", kMaxContent, " bytes"), std::ssize(token.content));
  const std::optional<std::int32_t> known = id_of(token.content);
  if (known && id && *known != *id) fail(text_of("the id ", *known, " as elsewhere"), *id);
  if (ids_.contains(token.content)) return;
  const std::int64_t chosen = known ? *known : id.value_or(next_id_);
  if (chosen < 0 || chosen >= kMaxTokenId)
    fail(text_of("an id from 0 to ", kMaxTokenId - 1), chosen);
  token.id = static_cast<std::int32_t>(chosen);
  if (!known) {
    const auto in_vocabulary = vocabulary_.token_of(token.id);
    const auto owner = owners_.find(token.id);
    const std::string_view other = in_vocabulary            ? *in_vocabulary
                                   : owner != owners_.end() ? owner->second
                                                            : std::string_view();
    if (in_vocabulary || owner != owners_.end())
      fail(text_of("an id of its own, not that of ", in_quotes(other)), chosen);
  }
  next_id_ = std::max(next_id_, token.id + 1);
  ids_.emplace(token.content, token.id);
  owners_.emplace(token.id, token.content);
  tokens_.push_back(std::move(token));
}

std::optional<std::int32_t> AddedTokenList::id_of(const std::string& content) const {
  const auto found = ids_.find(content);
  return found != ids_.end() ? std::optional(found->second) : vocabulary_.id_of(content);
}

void add_tokens_of_files(const TokenizerFiles& files, const SpecialTokenDefaults& defaults,
                         AddedTokenList& added) {
  const std::vector<AddedToken> named = special_tokens(files, defaults);
  if (const auto decoder = files.config.find("added_tokens_decoder")) {
    for (const auto& [key, entry] : decoder->members())
      added.add(added_token_from_json(entry), id_written_as_key(key, entry),
                text_of(entry.where(), ", ", entry.path()));
  } else {
    for (const auto& [content, entry] : files.added_tokens.members()) {
      AddedToken token;
      token.content = std::string(content);
      for (const AddedToken& other : named)
        token.special = token.special || other.content == token.content;
      token.normalized = !token.special;
      added.add(std::move(token), entry.as<std::int64_t>(),
                text_of(entry.where(), ", ", entry.path()));
    }
  }
  for (const AddedToken& token : named)
    added.add(token, std::nullopt,
              text_of((files.folder / "tokenizer_config.json").string(), ", special tokens"));
}

void read_settings(const TokenizerFiles& files, const SpecialTokenDefaults& defaults,
                   const AddedTokenList& added, TokenizerSettings& settings) {
  const auto id_of = [&](std::string_view key) -> std::optional<std::int32_t> {
    const auto token = named_token(files, defaults, key);
    return token ? added.id_of(token->content) : std::nullopt;
  };
  settings.bos = id_of("bos_token");
  settings.eos = id_of("eos_token");
  settings.pad = id_of("pad_token");
  settings.unk = id_of("unk_token");
  settings.pad_left = files.config.get<std::string>("padding_side", "right") == "left";
  settings.truncate_left = files.config.get<std::string>("truncation_side", "right") == "left";
  // int(1e30) stands for "no limit" in published configs.
  if (const double length = files.config.get<double>("model_max_length", 1e30);
      length >= 0 && length < 1e15)
    settings.model_max_length = static_cast<std::int64_t>(length);
  if (files.config.has("add_bos_token") || files.config.has("add_eos_token")) {
    settings.before.clear();
    settings.after.clear();
    if (files.config.get<bool>("add_bos_token", false) && settings.bos)
      settings.before = {*settings.bos};
    if (files.config.get<bool>("add_eos_token", false) && settings.eos)
      settings.after = {*settings.eos};
  }
}

}  // namespace annulus

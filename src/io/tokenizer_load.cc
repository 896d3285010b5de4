#include "io/tokenizer_load.h"

#include <algorithm>
#include <cmath>

#include "io/read_file.h"
#include "io/spiece_model.h"
#include "io/tokenizer_unigram.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kMaxSpieceFile = std::size_t{64} << 20;  // bytes; UMT5's has 4.5 MB
constexpr std::size_t kMaxMergesFile = std::size_t{64}
                                       << 20;  // bytes; Qwen2's merges.txt has 1.7 MB
// tokenizer.json of Gemma 3 has 33 MB and 1.7 million values.
constexpr JsonLimits kTokenizerJson{
    .bytes = std::size_t{128} << 20, .values = std::size_t{16} << 20, .depth = 64};

/// Qwen2Tokenizer.__init__; GPT2Tokenizer's are the same.
SpecialTokenDefaults qwen2_defaults() {
  return {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
}

/// T5Tokenizer.__init__.
SpecialTokenDefaults t5_defaults() {
  return {"</s>", "<pad>", "<unk>"};
}

bool is_there(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::exists(file, ignored);
}

/// transformers' class, with the ending that older versions gave to the same tokenizer in Rust
/// taken off.
std::string class_of(const TokenizerFiles& files) {
  std::string name = files.config.get<std::string>("tokenizer_class", "");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

bool mentions_type(const Json& entry, std::string_view type, int depth = 0) {
  if (!entry.is_object() || depth > 8) return false;
  if (entry.get<std::string>("type", "") == type) return true;
  const auto steps = entry.find("pretokenizers");
  if (!steps || !steps->is_array()) return false;
  for (const Json& step : steps->elements())
    if (mentions_type(step, type, depth + 1)) return true;
  return false;
}

Vocabulary vocabulary_of(const Json& entry) {
  std::vector<Vocabulary::Entry> entries;
  entries.reserve(entry.size());
  for (const auto& [token, id] : entry.members()) entries.push_back({token, id.as<std::int64_t>()});
  return Vocabulary(entries,
                    text_of(entry.where(), entry.path().empty() ? "" : ", ", entry.path()));
}

/// "a b" as two tokens. Throws CorruptFile.
BpeMerges::Pair merge_of_line(std::string_view line, std::size_t number, const std::string& where) {
  const std::size_t blank = line.find(' ');
  const bool two =
      blank != std::string_view::npos && line.find(' ', blank + 1) == std::string_view::npos;
  if (!two)
    throw Error(ErrorCode::CorruptFile,
                text_of("merge ", number, ": wanted two tokens with a blank between, found ",
                        in_quotes(line), " (", where, ")"));
  return {line.substr(0, blank), line.substr(blank + 1)};
}

BpeMerges merges_of_json(const Json& entry, const Vocabulary& vocabulary) {
  const std::string where = text_of(entry.where(), ", ", entry.path());
  std::vector<BpeMerges::Pair> pairs;
  pairs.reserve(entry.size());
  for (const Json& merge : entry.elements()) {
    if (merge.is_string()) {
      pairs.push_back(merge_of_line(merge.as<std::string_view>(), pairs.size(), where));
    } else {
      if (!merge.is_array() || merge.size() != 2) merge.fail("two tokens");
      pairs.emplace_back(merge.at(0).as<std::string_view>(), merge.at(1).as<std::string_view>());
    }
  }
  return BpeMerges(vocabulary, pairs, where);
}

BpeMerges merges_of_text(std::string_view rest, const std::string& where,
                         const Vocabulary& vocabulary) {
  std::vector<BpeMerges::Pair> pairs;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with("#version"))
      pairs.push_back(merge_of_line(line, pairs.size(), where));
  }
  return BpeMerges(vocabulary, pairs, where);
}

/// Options of a BPE model that only other kinds use. Throws Unsupported when one is set.
void refuse_other_kinds(const Json& model) {
  const bool plain = model.get<std::string>("continuing_subword_prefix", "").empty() &&
                     model.get<std::string>("end_of_word_suffix", "").empty() &&
                     !model.get<bool>("byte_fallback", false) &&
                     model.get<double>("dropout", 0) == 0;
  require(plain, ErrorCode::Unsupported, model.path(),
          ": wanted a byte-level BPE without prefix, suffix, byte_fallback and ",
          "dropout, found one of them set (", model.where(), ")");
}

SpecialTokenDefaults defaults_of(const TokenizerFiles& files) {
  const std::string name = class_of(files);
  return name == "Qwen2Tokenizer" ? qwen2_defaults()
         : name == "T5Tokenizer"  ? t5_defaults()
                                  : SpecialTokenDefaults{};
}

void add_listed_tokens(const Json& all, AddedTokenList& added) {
  if (const auto list = all.find("added_tokens"))
    for (const Json& entry : list->elements())
      added.add(added_token_from_json(entry), entry.get<std::int64_t>("id"),
                text_of(all.where(), ", ", entry.path()));
}

/// `model` of type Unigram: `vocab` is a list of [piece, score], its order the ids.
UnigramModel unigram_of_json(const Json& model) {
  std::vector<Vocabulary::Entry> entries;
  std::vector<double> scores;
  const Json list = model["vocab"];
  entries.reserve(list.size());
  for (const Json& one : list.elements()) {
    if (!one.is_array() || one.size() != 2) one.fail("a piece and its score");
    entries.push_back({one.at(0).as<std::string_view>(), std::ssize(entries)});
    scores.push_back(one.at(1).as<double>());
    if (!std::isfinite(scores.back())) one.fail("a finite score");
  }
  const auto unk = model.get<std::int64_t>("unk_id");
  if (unk < 0 || unk >= std::ssize(entries)) model["unk_id"].fail("an id of the vocabulary");
  return {Vocabulary(entries, text_of(list.where(), ", ", list.path())), std::move(scores),
          static_cast<std::int32_t>(unk)};
}

std::unique_ptr<Tokenizer> unigram_from_json(const Json& all, const TokenizerFiles& files) {
  const Json model = all["model"];
  UnigramParts parts;
  parts.model = unigram_of_json(model);
  parts.byte_fallback = model.get<bool>("byte_fallback", false);
  parts.clean_up = files.config.get<bool>("clean_up_tokenization_spaces", false);
  parts.normalizer = Normalizer::from_json(all.get<Json>("normalizer", Json()));
  parts.metaspace = Metaspace::from_json(all.get<Json>("pre_tokenizer", Json::object()));
  AddedTokenList added(parts.model.vocabulary());
  add_listed_tokens(all, added);
  add_tokens_of_files(files, defaults_of(files), added);
  TokenizerSettings settings;
  read_post_processor(all.get<Json>("post_processor", Json()), settings);
  read_settings(files, defaults_of(files), added, settings);
  return make_unigram(std::move(parts), added.take(), std::move(settings));
}

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_spiece(std::span<const std::byte> bytes,
                                                 const std::string& name,
                                                 const TokenizerFiles& files) {
  constexpr std::int32_t kUnk = 2;  // as the class has it, whatever the model says
  const std::string class_name = class_of(files);
  require(class_name == "T5Tokenizer", ErrorCode::Unsupported,
          "tokenizer_class: wanted T5Tokenizer for a SentencePiece model, found ", class_name, " (",
          files.folder.string(), ")");
  const SpieceModel model = parse_spiece_model(bytes, name);
  require(model.unigram && std::ssize(model.pieces) > kUnk, ErrorCode::Unsupported,
          "SentencePiece model: wanted a Unigram model, found another kind (", name, ")");
  std::vector<Vocabulary::Entry> entries;
  std::vector<double> scores;
  for (const SpieceModel::Piece& piece : model.pieces) {
    entries.push_back({piece.text, std::ssize(entries)});
    scores.push_back(double{piece.score});
  }
  UnigramParts parts;
  parts.model = UnigramModel(Vocabulary(entries, name), std::move(scores), kUnk);
  parts.clean_up = files.config.get<bool>("clean_up_tokenization_spaces", false);
  if (!model.precompiled_charsmap.empty())
    parts.normalizer = Normalizer(PrecompiledMap(model.precompiled_charsmap, name));
  parts.metaspace.split_at_white_space = true;

  AddedTokenList added(parts.model.vocabulary());
  const auto extra = files.config.get<int>("extra_ids", 100);
  for (int i = extra - 1; i >= 0 && extra < kMaxTokenId; --i) {
    AddedToken token;
    token.content = text_of("<extra_id_", i, ">");
    token.special = true;
    added.add(token, std::nullopt, name);
  }
  add_tokens_of_files(files, t5_defaults(), added);
  TokenizerSettings settings;
  settings.after = {added.id_of("</s>").value_or(1)};
  read_settings(files, t5_defaults(), added, settings);
  return make_unigram(std::move(parts), added.take(), std::move(settings));
}

std::unique_ptr<Tokenizer> tokenizer_from_json(const Json& all, const TokenizerFiles& files) {
  const Json model = all["model"];
  // Files before 2020 have no type; merges tell.
  const auto type = model.get<std::string>("type", model.has("merges") ? "BPE" : "of no type");
  if (type == "Unigram") return unigram_from_json(all, files);
  const Json words = all.get<Json>("pre_tokenizer", Json());
  require(type == "BPE" && mentions_type(words, "ByteLevel"), ErrorCode::Unsupported,
          "model.type: wanted Unigram or a byte-level BPE, found ", type,
          type == "BPE" ? " without ByteLevel" : "", " (", all.where(), ")");
  refuse_other_kinds(model);

  ByteLevelBpe parts;
  parts.vocabulary = vocabulary_of(model["vocab"]);
  parts.pretokenizer = Pretokenizer::from_json(words);
  parts.merges = merges_of_json(model["merges"], parts.vocabulary);
  parts.ignore_merges = model.get<bool>("ignore_merges", false);
  parts.fuse_unk = model.get<bool>("fuse_unk", false);
  if (const auto unk = model.find("unk_token"))
    parts.unk = parts.vocabulary.id_of(unk->as<std::string_view>());
  parts.normalizer = Normalizer::from_json(all.get<Json>("normalizer", Json()));

  const SpecialTokenDefaults defaults = defaults_of(files);
  AddedTokenList added(parts.vocabulary);
  add_listed_tokens(all, added);
  add_tokens_of_files(files, defaults, added);

  TokenizerSettings settings;
  read_post_processor(all.get<Json>("post_processor", Json()), settings);
  read_settings(files, defaults, added, settings);
  return make_byte_level_bpe(std::move(parts), added.take(), std::move(settings));
}

std::unique_ptr<Tokenizer> tokenizer_from_tables(const Json& vocabulary, std::string_view merges,
                                                 const std::string& merges_name,
                                                 const TokenizerFiles& files) {
  const std::string name = class_of(files);
  const bool gpt2 = name == "GPT2Tokenizer";
  require(gpt2 || name.empty() || name == "Qwen2Tokenizer", ErrorCode::Unsupported,
          "tokenizer_class: wanted Qwen2Tokenizer or GPT2Tokenizer for vocab.json with merges.txt, "
          "found ",
          name, " (", files.folder.string(), ")");
  const bool prefix_space = files.config.get<bool>("add_prefix_space", false);

  ByteLevelBpe parts;
  parts.vocabulary = vocabulary_of(vocabulary);
  parts.normalizer = gpt2 ? Normalizer() : Normalizer(NormalForm::Nfc);
  parts.pretokenizer = gpt2 ? Pretokenizer::gpt2(prefix_space) : Pretokenizer::qwen2(prefix_space);
  parts.merges = merges_of_text(merges, merges_name, parts.vocabulary);

  AddedTokenList added(parts.vocabulary);
  add_tokens_of_files(files, qwen2_defaults(), added);
  TokenizerSettings settings;
  read_settings(files, qwen2_defaults(), added, settings);
  return make_byte_level_bpe(std::move(parts), added.take(), std::move(settings));
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  std::error_code ignored;
  require(std::filesystem::is_directory(folder, ignored), ErrorCode::CorruptFile,
          "tokenizer: wanted a folder, found none (", folder.string(), ")");
  const TokenizerFiles files = read_tokenizer_files(folder);
  if (const auto whole = folder / "tokenizer.json"; is_there(whole))
    return tokenizer_from_json(Json::read(whole, ErrorCode::CorruptFile, kTokenizerJson), files);
  if (const auto spiece = folder / "spiece.model"; is_there(spiece))
    return tokenizer_from_spiece(read_file(spiece, kMaxSpieceFile, ErrorCode::CorruptFile),
                                 spiece.string(), files);
  const auto vocab = folder / "vocab.json", merges = folder / "merges.txt";
  require(is_there(vocab) && is_there(merges), ErrorCode::CorruptFile,
          "tokenizer: wanted tokenizer.json, spiece.model, or vocab.json with merges.txt, found ",
          is_there(vocab)    ? "no merges.txt"
          : is_there(merges) ? "no vocab.json"
                             : "neither",
          " (", folder.string(), ")");
  const std::vector<std::byte> text = read_file(merges, kMaxMergesFile, ErrorCode::CorruptFile);
  return tokenizer_from_tables(Json::read(vocab, ErrorCode::CorruptFile),
                               {reinterpret_cast<const char*>(text.data()), text.size()},
                               merges.string(), files);
}

}  // namespace annulus

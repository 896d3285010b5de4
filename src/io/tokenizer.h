// Tokenizers: text to token ids and back. An interface with one implementation per kind
// (tokenizer_bpe.h: byte-level BPE as in Qwen2, Llama 3, Mistral); `load_tokenizer` picks it from
// the files of a model's tokenizer folder. Chat templates are in chat_template.h. Start with
// `load_tokenizer` and `encode`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace annulus {

/// What a tokenizer folder says beside the algorithm. Ids are absent where the folder names no such
/// token.
struct TokenizerSettings {
  std::optional<std::int32_t> bos, eos, pad, unk;
  std::vector<std::int32_t> before,
      after;  // ids put around every text (a template's special tokens)
  std::optional<std::int64_t> model_max_length;  // tokens; absent when not given or "very large"
  bool pad_left = false, truncate_left = false;  // default right
};

struct EncodeOptions {
  bool add_special_tokens = true;  // settings().before and after
  std::optional<std::int64_t> max_length =
      std::nullopt;  // tokens, special ones included: the text's own are cut to fit
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Token ids of `text`. Throws InvalidRequest when it is not UTF-8 or over 256 MiB. Thread-safe.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// The text of `ids`, for tests and messages: bytes that are not UTF-8 become U+FFFD, unknown ids
  /// nothing.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = false) const;

  /// The id of exactly this token, or nothing.
  virtual std::optional<std::int32_t> id_of(std::string_view token) const = 0;
  /// One more than the largest id.
  virtual std::int32_t vocabulary_size() const noexcept = 0;
  const TokenizerSettings& settings() const noexcept { return settings_; }

 protected:
  explicit Tokenizer(TokenizerSettings settings) : settings_(std::move(settings)) {}

 private:
  /// Ids of well-formed `text` without the template's.
  virtual std::vector<std::int32_t> encode_text(std::string_view text) const = 0;
  /// May hold ill-formed UTF-8.
  virtual std::string decode_bytes(std::span<const std::int32_t> ids,
                                   bool skip_special_tokens) const = 0;

  TokenizerSettings settings_;
};

/// Token ids of several texts as rows of one length, for an encoder.
struct TokenBatch {
  std::vector<std::int32_t> ids;   // [batch, seq]; settings().pad (or 0) where `mask` is 0
  std::vector<std::uint8_t> mask;  // [batch, seq]; 1 = a token of the text
  std::int64_t batch = 0, seq = 0;
};

/// Pads `rows` on the tokenizer's side to the longest, or to `length` if that is more.
TokenBatch pad_tokens(const Tokenizer& tokenizer,
                      const std::vector<std::vector<std::int32_t>>& rows, std::int64_t length = 0);

/// Reads the tokenizer of a folder: `tokenizer.json`, or `vocab.json` with `merges.txt`; beside
/// them, as far as they exist, `tokenizer_config.json`, `special_tokens_map.json` and
/// `added_tokens.json`, with the meaning transformers 5 gives them.
///
/// Throws CorruptFile naming file and entry for anything missing, damaged or contradictory,
/// Unsupported for a kind that is not here (its name is in the message).
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

}  // namespace annulus

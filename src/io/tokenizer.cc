#include "io/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kMaxText = std::size_t{1}
                                 << 28;  // bytes: symbols of a word are counted in 32 bits, and a
                                         // normal form is up to 3 times as long

}  // namespace

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            const EncodeOptions& options) const {
  require(text.size() <= kMaxText, ErrorCode::InvalidRequest, "text: wanted at most ", kMaxText,
          " bytes, found ", text.size());
  const std::size_t bad = find_invalid_utf8(text);
  require(bad == std::string_view::npos, ErrorCode::InvalidRequest,
          "text: wanted UTF-8, found other bytes at offset ", bad);

  std::vector<std::int32_t> ids = encode_text(text);
  const std::size_t around =
      options.add_special_tokens ? settings_.before.size() + settings_.after.size() : 0;
  if (options.max_length) {
    require(*options.max_length >= static_cast<std::int64_t>(around), ErrorCode::InvalidRequest,
            "max_length: wanted at least ", around, " (the tokens that are always added), found ",
            *options.max_length);
    const std::size_t room = static_cast<std::size_t>(*options.max_length) - around;
    if (ids.size() > room && settings_.truncate_left)
      ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(room));
    ids.resize(std::min(ids.size(), room));
  }
  if (around != 0) {
    ids.insert(ids.begin(), settings_.before.begin(), settings_.before.end());
    ids.insert(ids.end(), settings_.after.begin(), settings_.after.end());
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  return replace_invalid_utf8(decode_bytes(ids, skip_special_tokens));
}

TokenBatch pad_tokens(const Tokenizer& tokenizer,
                      const std::vector<std::vector<std::int32_t>>& rows, std::int64_t length) {
  TokenBatch batch;
  batch.batch = static_cast<std::int64_t>(rows.size());
  batch.seq = length;
  for (const auto& row : rows)
    batch.seq = std::max(batch.seq, static_cast<std::int64_t>(row.size()));
  const auto seq = static_cast<std::size_t>(batch.seq);
  batch.ids.assign(rows.size() * seq, tokenizer.settings().pad.value_or(0));
  batch.mask.assign(rows.size() * seq, 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t begin = i * seq + (tokenizer.settings().pad_left ? seq - rows[i].size() : 0);
    std::copy(rows[i].begin(), rows[i].end(),
              batch.ids.begin() + static_cast<std::ptrdiff_t>(begin));
    std::fill_n(batch.mask.begin() + static_cast<std::ptrdiff_t>(begin), rows[i].size(),
                std::uint8_t{1});
  }
  return batch;
}

}  // namespace annulus

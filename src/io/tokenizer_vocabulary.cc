#include "io/tokenizer_vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {

Vocabulary::Vocabulary(const std::vector<Entry>& entries, const std::string& where) {
  const auto fail = [&](const Entry& entry, const std::string& wanted) {
    throw Error(ErrorCode::CorruptFile, text_of("id of token ", in_quotes(entry.token), ": wanted ",
                                                wanted, ", found ", entry.id, " (", where, ")"));
  };
  std::size_t bytes = 0;
  std::int64_t last = -1;
  for (const Entry& entry : entries) {
    if (entry.id < 0 || entry.id >= kMaxTokenId) fail(entry, text_of("0 to ", kMaxTokenId - 1));
    bytes += entry.token.size() + 1;  // + 1: the empty token has an address too
    last = std::max(last, entry.id);
  }
  arena_.reserve(bytes);  // never moved afterwards: the views stay valid
  tokens_.resize(static_cast<std::size_t>(last + 1));
  ids_.reserve(entries.size());
  for (const Entry& entry : entries) {
    std::string_view& slot = tokens_[static_cast<std::size_t>(entry.id)];
    if (slot.data() != nullptr)
      fail(entry, text_of("one of its own, not that of ", in_quotes(slot)));
    const std::size_t begin = arena_.size();
    arena_.insert(arena_.end(), entry.token.begin(), entry.token.end());
    arena_.push_back('\0');
    slot = {arena_.data() + begin, entry.token.size()};
    if (!ids_.emplace(slot, static_cast<std::int32_t>(entry.id)).second)
      fail(entry, "one for each token, not a second");
  }
}

std::optional<std::int32_t> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Vocabulary::token_of(std::int32_t id) const noexcept {
  if (id < 0 || id >= end_id()) return std::nullopt;
  const std::string_view token = tokens_[static_cast<std::size_t>(id)];
  if (token.data() == nullptr) return std::nullopt;
  return token;
}

}  // namespace annulus

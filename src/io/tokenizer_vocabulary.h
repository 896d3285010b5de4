// Vocabulary: token strings and their ids, both ways. The strings are those of the file (a
// byte-level BPE writes bytes as printable characters, see bpe_bytes.h). Start with `id_of`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace annulus {

/// Ids are below this: sixteen times the largest vocabulary known, small enough for a table by id.
inline constexpr std::int32_t kMaxTokenId = 1 << 22;

class Vocabulary {
 public:
  struct Entry {
    std::string_view token;
    std::int64_t id;
  };

  Vocabulary() = default;
  /// Copies the strings. `where` is file and entry, for messages. Throws CorruptFile when an id is
  /// negative, not below kMaxTokenId or used twice, or a token stands twice.
  Vocabulary(const std::vector<Entry>& entries, const std::string& where);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;  // ids_ points into arena_
  Vocabulary& operator=(const Vocabulary&) = delete;
  ~Vocabulary() = default;

  std::optional<std::int32_t> id_of(std::string_view token) const;
  /// The token with this id, or nothing. Ids may have gaps.
  std::optional<std::string_view> token_of(std::int32_t id) const noexcept;
  /// One more than the largest id.
  std::int32_t end_id() const noexcept { return static_cast<std::int32_t>(tokens_.size()); }

 private:
  std::vector<char> arena_;
  std::vector<std::string_view> tokens_;  // by id; data() null where there is a gap
  std::unordered_map<std::string_view, std::int32_t> ids_;
};

}  // namespace annulus

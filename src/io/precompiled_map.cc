#include "io/precompiled_map.h"

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kLongestCluster = 5;  // bytes that are looked up as a whole

// A unit of the double array: bits 0-7 and 31 are its label, bit 8 says that a string ends here,
// bits 10-30 (shifted by 8 more where bit 9 is set) are the way to its children; of a leaf, bits
// 0-30 are the value.
bool ends_here(std::uint32_t unit) noexcept {
  return (unit >> 8 & 1) != 0;
}
std::uint32_t label(std::uint32_t unit) noexcept {
  return unit & (1U << 31 | 0xFF);
}
std::size_t offset(std::uint32_t unit) noexcept {
  return std::size_t{unit >> 10} << ((unit & 1U << 9) >> 6);
}
std::size_t value(std::uint32_t unit) noexcept {
  return unit & ((1U << 31) - 1);
}

std::uint32_t little_endian(std::string_view bytes) noexcept {
  std::uint32_t word = 0;
  for (std::size_t i = 4; i-- > 0;) word = word << 8 | static_cast<unsigned char>(bytes[i]);
  return word;
}

int digit_of(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

PrecompiledMap::PrecompiledMap(std::string_view bytes, const std::string& where) {
  const std::size_t size = bytes.size() >= 4 ? little_endian(bytes) : 0;
  require(bytes.size() >= 4 && size % 4 == 0 && size >= 4 && size <= bytes.size() - 4,
          ErrorCode::CorruptFile, "precompiled_charsmap: wanted the size of a trie and the trie, ",
          "found ", bytes.size(), " bytes and the size ", size, " (", where, ")");
  for (std::size_t at = 4; at < 4 + size; at += 4)
    units_.push_back(little_endian(bytes.substr(at, 4)));
  replacements_ = bytes.substr(4 + size);
  require(find_invalid_utf8(replacements_) == std::string_view::npos, ErrorCode::CorruptFile,
          "precompiled_charsmap: wanted replacements in UTF-8, found other bytes (", where, ")");
}

std::optional<std::string_view> PrecompiledMap::replacement(std::string_view part) const noexcept {
  std::size_t node = offset(units_[0]);
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size()) return std::nullopt;
    const std::uint32_t unit = units_[node];
    if (label(unit) != byte) return std::nullopt;
    node ^= offset(unit);
    if (!ends_here(unit)) continue;
    if (node >= units_.size()) return std::nullopt;
    const std::size_t begin = value(units_[node]);
    if (begin > replacements_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    const std::string_view found = rest.substr(0, rest.find('\0'));
    return find_invalid_utf8(found) == std::string_view::npos ? std::optional(found) : std::nullopt;
  }
  return std::nullopt;
}

std::string PrecompiledMap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::string_view cluster = text.substr(0, first_grapheme(text));
    text.remove_prefix(cluster.size());
    if (cluster.size() <= kLongestCluster) {
      if (const auto whole = replacement(cluster)) {
        out += *whole;
        continue;
      }
    }
    while (!cluster.empty()) {
      const std::string_view character = cluster.substr(0, first_character(cluster).bytes);
      cluster.remove_prefix(character.size());
      out += replacement(character).value_or(character);
    }
  }
  return out;
}

std::string bytes_of_base64(std::string_view text, const std::string& where) {
  std::string bytes;
  const auto fail = [&] {
    throw Error(ErrorCode::CorruptFile, text_of("base64: wanted groups of four of its 64 characters"
                                                ", found something else (",
                                                where, ")"));
  };
  if (text.size() % 4 != 0) fail();
  bytes.reserve(text.size() / 4 * 3);
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    const bool last = at + 4 == text.size();
    for (std::size_t i = 0; i < 4; ++i) {
      const bool padded = last && i >= 4 - padding;
      const int digit = padded ? 0 : digit_of(text[at + i]);
      if (digit < 0) fail();
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t i = 0; i < 3 - (last ? padding : 0); ++i)
      bytes += static_cast<char>(group >> (16 - 8 * i) & 0xFF);
  }
  return bytes;
}

}  // namespace annulus

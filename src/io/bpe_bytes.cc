#include "io/bpe_bytes.h"

#include "io/unicode.h"

namespace annulus {
namespace {

constexpr char32_t kFirstOther = 0x100;
constexpr int kOthers = 68;

constexpr bool stands_for_itself(int byte) noexcept {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<char32_t, 256> character_of_byte() noexcept {
  std::array<char32_t, 256> table{};
  char32_t other = kFirstOther;
  for (int byte = 0; byte < 256; ++byte)
    table[static_cast<std::size_t>(byte)] =
        stands_for_itself(byte) ? static_cast<char32_t>(byte) : other++;
  return table;
}

constexpr std::array<unsigned char, kOthers> byte_of_other() noexcept {
  std::array<unsigned char, kOthers> table{};
  std::size_t count = 0;
  for (int byte = 0; byte < 256; ++byte)
    if (!stands_for_itself(byte)) table[count++] = static_cast<unsigned char>(byte);
  return table;
}

constexpr std::array<char32_t, 256> kCharacter = character_of_byte();
constexpr std::array<unsigned char, kOthers> kOther = byte_of_other();

}  // namespace

std::array<std::string, 256> bpe_byte_names() {
  std::array<std::string, 256> names;
  for (std::size_t byte = 0; byte < 256; ++byte) append_utf8(names[byte], kCharacter[byte]);
  return names;
}

std::string bpe_name_of(std::string_view bytes) {
  std::string name;
  name.reserve(2 * bytes.size());
  for (const char byte : bytes) append_utf8(name, kCharacter[static_cast<unsigned char>(byte)]);
  return name;
}

std::optional<std::string> bpe_bytes_of(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const Character front = first_character(name);
    if (front.code >= kFirstOther && front.code < kFirstOther + kOthers)
      bytes += static_cast<char>(kOther[front.code - kFirstOther]);
    else if (front.code < 0x100 && stands_for_itself(static_cast<int>(front.code)))
      bytes += static_cast<char>(front.code);
    else
      return std::nullopt;
    name.remove_prefix(front.bytes);
  }
  return bytes;
}

}  // namespace annulus

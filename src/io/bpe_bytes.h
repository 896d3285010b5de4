// The printable character by which a byte-level BPE writes each byte in its files (GPT-2's table):
// printable Latin-1 bytes stand for themselves, the 68 others for U+0100 and on, in order.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace annulus {

/// The character of each byte, as UTF-8 (one or two bytes).
std::array<std::string, 256> bpe_byte_names();

/// `bytes` as such characters.
std::string bpe_name_of(std::string_view bytes);

/// The bytes that `name` writes; nothing when some character stands for no byte. `name` is
/// well-formed UTF-8.
std::optional<std::string> bpe_bytes_of(std::string_view name);

}  // namespace annulus

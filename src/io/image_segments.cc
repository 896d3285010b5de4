#include "io/image_segments.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "io/image_codecs.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kMaxText = std::size_t{4}
                                 << 20;  // bytes of all texts of a file together, inflated
constexpr std::size_t kMaxTexts = 64;

std::string_view text_view(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint32_t number_at(std::string_view data, std::size_t at, std::size_t bytes,
                        bool big_endian) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(data[at + (big_endian ? i : bytes - 1 - i)]);
  return value;
}

std::optional<std::string> inflated(std::string_view data, std::size_t limit) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  std::string text;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  int status = Z_OK;
  while (status == Z_OK && text.size() <= limit) {
    constexpr std::size_t kStep = 64 * 1024;
    const std::size_t before = text.size();
    text.resize(before + kStep);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + before);
    stream.avail_out = kStep;
    status = inflate(&stream, Z_NO_FLUSH);
    text.resize(text.size() - stream.avail_out);
    if (stream.avail_in == 0 && stream.avail_out != 0 && status == Z_OK) break;  // cut off
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || text.size() > limit) return std::nullopt;
  return text;
}

std::string from_latin1(std::string_view data) {
  std::string text;
  for (const char c : data) append_utf8(text, static_cast<unsigned char>(c));
  return text;
}

/// Bytes that further texts may have.
std::size_t room(const ImageSegments& found) noexcept {
  std::size_t left = kMaxText;
  for (const auto& [key, text] : found.texts) left -= std::min(left, key.size() + text.size());
  return left;
}

/// A PNG's text chunk: keyword, zero, then what its type says.
void add_png_text(std::string_view type, std::string_view data, ImageSegments& found) {
  const std::size_t limit = room(found);
  if (found.texts.size() >= kMaxTexts || data.size() > limit) return;
  const std::size_t zero = data.find('\0');
  if (zero == std::string_view::npos) return;
  const std::string key = from_latin1(data.substr(0, zero));
  data.remove_prefix(zero + 1);
  std::optional<std::string> text;
  if (type == "tEXt") {
    text = from_latin1(data);
  } else if (type == "zTXt") {
    if (data.empty() || data[0] != 0) return;
    text = inflated(data.substr(1), limit);
    if (text) text = from_latin1(*text);
  } else {  // iTXt: compressed?, method, language, zero, translated keyword, zero, text
    if (data.size() < 2) return;
    const bool compressed = data[0] == 1;
    data.remove_prefix(2);
    for (int skipped = 0; skipped < 2; ++skipped) {
      const std::size_t end = data.find('\0');
      if (end == std::string_view::npos) return;
      data.remove_prefix(end + 1);
    }
    text = compressed ? inflated(data, limit) : std::string(data);
    if (text) text = replace_invalid_utf8(*text);
  }
  if (text) found.texts.emplace_back(key, std::move(*text));
}

ImageSegments png_segments(std::span<const std::byte> file) {
  ImageSegments found;
  const std::string_view data = text_view(file);
  for (std::size_t at = 8; data.size() - at >= 12;) {
    const std::size_t length = number_at(data, at, 4, true);
    const std::string_view type = data.substr(at + 4, 4);
    if (length > data.size() - at - 12 || type == "IEND") break;
    if (type == "eXIf") found.exif = file.subspan(at + 8, length);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt")
      add_png_text(type, data.substr(at + 8, length), found);
    at += 12 + length;
  }
  return found;
}

ImageSegments jpeg_segments(std::span<const std::byte> file) {
  constexpr unsigned kStartOfScan = 0xda, kApp1 = 0xe1, kComment = 0xfe;
  ImageSegments found;
  const std::string_view data = text_view(file);
  for (std::size_t at = 2; data.size() - at >= 4;) {
    if (static_cast<unsigned char>(data[at]) != 0xff) break;
    const unsigned marker = static_cast<unsigned char>(data[at + 1]);
    if (marker == 0xff) {  // filling
      ++at;
      continue;
    }
    const std::size_t length = number_at(data, at + 2, 2, true);  // with its own two bytes
    if (marker == kStartOfScan || length < 2 || length > data.size() - at - 2) break;
    const std::string_view content = data.substr(at + 4, length - 2);
    if (marker == kApp1 && found.exif.empty() &&
        content.starts_with(std::string_view("Exif\0\0", 6)))
      found.exif = file.subspan(at + 4, length - 2);
    if (marker == kComment && found.texts.size() < kMaxTexts && content.size() <= room(found))
      found.texts.emplace_back("", content);
    at += 2 + length;
  }
  return found;
}

ImageSegments webp_segments(std::span<const std::byte> file) {
  ImageSegments found;
  const std::string_view data = text_view(file);
  for (std::size_t at = 12; at < data.size() && data.size() - at >= 8;) {
    const std::size_t length = number_at(data, at + 4, 4, false);
    if (length > data.size() - at - 8) break;
    if (data.substr(at, 4) == "EXIF") found.exif = file.subspan(at + 8, length);
    at += 8 + length + length % 2;
  }
  return found;
}

}  // namespace

ImageSegments find_segments(std::span<const std::byte> file) {
  if (is_png(file)) return png_segments(file);
  if (is_jpeg(file)) return jpeg_segments(file);
  if (is_webp(file)) return webp_segments(file);
  return {};
}

}  // namespace annulus

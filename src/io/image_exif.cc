#include "io/image_exif.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::uint16_t kOrientation = 0x0112, kImageDescription = 0x010e, kExifDirectory = 0x8769,
                        kUserComment = 0x9286;
constexpr std::uint16_t kAscii = 2, kShort = 3, kLong = 4, kUndefined = 7;
constexpr std::string_view kUnicodeMark("UNICODE\0", 8), kAsciiMark("ASCII\0\0\0", 8),
    kNoMark("\0\0\0\0\0\0\0\0", 8);

/// A TIFF file; every read is checked, and reads past the end are "nothing".
class Tiff {
 public:
  explicit Tiff(std::string_view data) : data_(data) {}

  bool is_valid() {
    if (!data_.starts_with("II") && !data_.starts_with("MM")) return false;
    big_endian_ = data_[0] == 'M';
    return number(2, 2) == 42;
  }

  std::optional<std::uint32_t> number(std::size_t offset, std::size_t bytes) const noexcept {
    if (offset > data_.size() || data_.size() - offset < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const auto byte =
          static_cast<unsigned char>(data_[offset + (big_endian_ ? i : bytes - 1 - i)]);
      value = value << 8 | byte;
    }
    return value;
  }

  struct Entry {
    std::uint16_t tag, type;
    std::uint32_t count;
    std::size_t at;  // offset of the four bytes that hold the value or where it is
  };

  /// Calls use(entry) for each entry of the directory at `offset`.
  template <class Use>
  void for_each_entry(std::size_t offset, const Use& use) const {
    const std::uint32_t count = number(offset, 2).value_or(0);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::size_t at = offset + 2 + 12 * std::size_t{i};
      const auto tag = number(at, 2), type = number(at + 2, 2), size = number(at + 4, 4);
      if (!tag || !type || !size || !number(at + 8, 4)) return;
      use(Entry{static_cast<std::uint16_t>(*tag), static_cast<std::uint16_t>(*type), *size,
                at + 8});
    }
  }

  /// The bytes of an entry whose elements are bytes.
  std::optional<std::string_view> bytes_of(const Entry& entry) const noexcept {
    if (entry.type != kAscii && entry.type != kUndefined) return std::nullopt;
    const std::size_t offset = entry.count <= 4 ? entry.at : *number(entry.at, 4);
    if (offset > data_.size() || data_.size() - offset < entry.count) return std::nullopt;
    return data_.substr(offset, entry.count);
  }

  bool big_endian() const noexcept { return big_endian_; }

 private:
  std::string_view data_;
  bool big_endian_ = false;
};

/// UTF-16 to UTF-8; lone surrogates become U+FFFD.
std::string from_utf16(std::string_view data, bool big_endian) {
  std::string text;
  const auto unit = [&](std::size_t i) {
    const auto a = static_cast<unsigned char>(data[2 * i]),
               b = static_cast<unsigned char>(data[2 * i + 1]);
    return static_cast<char32_t>(big_endian ? a << 8 | b : b << 8 | a);
  };
  const std::size_t count = data.size() / 2;
  for (std::size_t i = 0; i < count; ++i) {
    char32_t code = unit(i);
    const bool pair = code >= 0xd800 && code < 0xdc00 && i + 1 < count && unit(i + 1) >= 0xdc00 &&
                      unit(i + 1) < 0xe000;
    if (pair) code = 0x10000 + ((code - 0xd800) << 10) + (unit(++i) - 0xdc00);
    append_utf8(text, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
  }
  return text;
}

/// The order of bytes in UTF-16 of unknown origin. EXIF wants the TIFF header's, most writers use
/// big-endian whatever it says; texts here are mostly Latin, so that the zero bytes tell.
bool looks_big_endian(std::string_view data, bool otherwise) {
  std::size_t even = 0, odd = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
    even += data[i] == '\0';
    odd += data[i + 1] == '\0';
  }
  return even == odd ? otherwise : even > odd;
}

std::string comment_text(std::string_view data, bool big_endian) {
  if (data.size() < 8) return {};
  const std::string_view mark = data.substr(0, 8);
  data.remove_prefix(8);
  if (mark == kUnicodeMark) {
    if (data.starts_with("\xfe\xff")) return from_utf16(data.substr(2), true);
    if (data.starts_with("\xff\xfe")) return from_utf16(data.substr(2), false);
    return from_utf16(data, looks_big_endian(data, big_endian));
  }
  if (mark != kAsciiMark && mark != kNoMark) return {};
  return replace_invalid_utf8(data.substr(0, data.find('\0')));
}

class Writer {
 public:
  void number(std::uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) data_ += static_cast<char>(value >> (8 * i) & 0xff);
  }
  void entry(std::uint16_t tag, std::uint16_t type, std::size_t count, std::size_t value) {
    number(tag, 2);
    number(type, 2);
    number(static_cast<std::uint32_t>(count), 4);
    number(static_cast<std::uint32_t>(value), 4);
  }
  void text(std::string_view text) { data_ += text; }
  std::vector<std::byte> take() const {
    const auto bytes = std::as_bytes(std::span(data_));
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::string data_;
};

std::string to_utf16_big_endian(std::string_view text) {
  std::string data;
  const auto unit = [&](char32_t value) {
    data += static_cast<char>(value >> 8);
    data += static_cast<char>(value & 0xff);
  };
  while (!text.empty()) {
    const Character front = first_character(text);
    text.remove_prefix(front.bytes);
    if (front.code < 0x10000) {
      unit(front.code);
    } else {
      unit(0xd800 + ((front.code - 0x10000) >> 10));
      unit(0xdc00 + ((front.code - 0x10000) & 0x3ff));
    }
  }
  return data;
}

}  // namespace

Exif read_exif(std::span<const std::byte> bytes) {
  std::string_view data(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (data.starts_with(std::string_view("Exif\0\0", 6))) data.remove_prefix(6);
  Exif exif;
  Tiff tiff(data);
  if (!tiff.is_valid()) return exif;
  // Of each the first: a file may name the same directory thousands of times, to keep its reader
  // busy.
  std::optional<std::uint32_t> directory;
  tiff.for_each_entry(tiff.number(4, 4).value_or(0), [&](const Tiff::Entry& entry) {
    if (entry.tag == kOrientation && entry.type == kShort && entry.count == 1) {
      const std::uint32_t value = *tiff.number(entry.at, 2);
      if (value >= 1 && value <= 8) exif.orientation = static_cast<int>(value);
    } else if (entry.tag == kImageDescription && !exif.description) {
      if (const auto text = tiff.bytes_of(entry))
        exif.description = replace_invalid_utf8(text->substr(0, text->find('\0')));
    } else if (entry.tag == kExifDirectory && entry.type == kLong && entry.count == 1 &&
               !directory) {
      directory = tiff.number(entry.at, 4);
    }
  });
  if (!directory) return exif;
  tiff.for_each_entry(*directory, [&](const Tiff::Entry& entry) {
    if (entry.tag != kUserComment || exif.user_comment) return;
    if (const auto comment = tiff.bytes_of(entry))
      exif.user_comment = comment_text(*comment, tiff.big_endian());
  });
  return exif;
}

std::vector<std::byte> make_exif(std::string_view description, std::string_view user_comment) {
  constexpr std::size_t kHeader = 8, kEntry = 12;
  // A value of up to four bytes would stand in the entry itself; longer ones stand behind the
  // directories.
  std::string described(description);
  described.append(std::max<std::size_t>(1, described.size() < 5 ? 5 - described.size() : 1), '\0');
  const std::string comment = std::string(kUnicodeMark) + to_utf16_big_endian(user_comment);
  const std::size_t entries = (description.empty() ? 0u : 1u) + (user_comment.empty() ? 0u : 1u);
  const std::size_t exif_directory = kHeader + 2 + entries * kEntry + 4;
  std::size_t data = user_comment.empty() ? exif_directory : exif_directory + 2 + kEntry + 4;

  Writer out;
  out.text(std::string_view("MM\0\x2a\0\0\0\x08", 8));
  out.number(static_cast<std::uint32_t>(entries), 2);
  if (!description.empty()) {
    out.entry(kImageDescription, kAscii, described.size(), data);
    data += described.size();
  }
  if (!user_comment.empty()) out.entry(kExifDirectory, kLong, 1, exif_directory);
  out.number(0, 4);  // no further directory
  if (!user_comment.empty()) {
    out.number(1, 2);
    out.entry(kUserComment, kUndefined, comment.size(), data);
    out.number(0, 4);
  }
  if (!description.empty()) out.text(described);
  if (!user_comment.empty()) out.text(comment);
  return out.take();
}

Image upright(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposes = orientation >= 5;
  // Where the pixel (x, y) of the upright image comes from: x and y swapped first, then each
  // counted from the far side.
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned;
  turned.width = transposes ? image.height : image.width;
  turned.height = transposes ? image.width : image.height;
  turned.pixels.resize(image.pixels.size());
  std::uint8_t* out = turned.pixels.data();
  for (std::int64_t y = 0; y < turned.height; ++y) {
    for (std::int64_t x = 0; x < turned.width; ++x, out += 3) {
      std::int64_t from_x = transposes ? y : x, from_y = transposes ? x : y;
      if (from_right) from_x = image.width - 1 - from_x;
      if (from_below) from_y = image.height - 1 - from_y;
      std::memcpy(out, image.pixels.data() + 3 * (from_y * image.width + from_x), 3);
    }
  }
  return turned;
}

}  // namespace annulus

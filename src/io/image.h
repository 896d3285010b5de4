// Pictures: a plain RGB image in memory, read from and written to PNG, JPEG and WebP. Sizes are
// checked against limits before memory is taken, since pictures come from anywhere. Not here:
// resizing (image_resize.h), what a file says about how it was made (metadata.h). Start with
// `read_image` and `write_image`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace annulus {

struct Image {
  int width = 0, height = 0;         // pixels
  std::vector<std::uint8_t> pixels;  // [height, width, 3], red, green, blue, 0 to 255
  bool operator==(const Image&) const = default;
};

/// What a picture may be before it is refused.
struct ImageLimits {
  std::int64_t side = 16384;                     // pixels
  std::int64_t pixels = std::int64_t{64} << 20;  // width x height
  std::size_t file_bytes = std::size_t{256} << 20;
};

/// The picture in `file`, told apart by content, not by ending: PNG (any depth, palette, grey,
/// interlaced), JPEG (also progressive, grey, CMYK) or WebP (of an animation the first frame). As
/// PIL's exif_transpose and convert("RGB") give it: the orientation in EXIF is applied,
/// transparency dropped. 16 bits become the upper 8.
///
/// Throws NotFound when there is no such file, InvalidRequest naming file and reason for anything
/// else.
Image read_image(const std::filesystem::path& file, const ImageLimits& limits = {});

/// As read_image, from memory. `name` stands for the file in messages.
Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                   const ImageLimits& limits = {});

enum class ImageFormat { Png, Jpeg, Webp };

/// By the ending: .png, .jpg, .jpeg, .webp, in any case. Throws InvalidRequest for another.
ImageFormat image_format_of(const std::filesystem::path& file);

/// What is stored beside the pixels; empty: nothing.
struct ImageText {
  std::string parameters;  // for people: the text that the A1111 web UI writes and other tools read
                           // (metadata.h)
  std::string json;        // all of it
};

struct ImageOptions {
  int quality = 95;      // of JPEG (always 4:4:4) and lossy WebP, 1 to 100
  bool lossless = true;  // of WebP
  ImageText text = {};
};

/// The bytes of a file. Throws InvalidRequest when the picture is empty or too large for the
/// format, OutOfMemory.
std::vector<std::byte> encode_image(const Image& image, ImageFormat format,
                                    const ImageOptions& options = {});

enum class IfExists {
  Replace,
  Number
};  // Number: name-2.png, name-3.png, ... and never another's file, also in a race

/// Writes a picture in the format of the ending; the file appears whole or not at all. Returns the
/// path written. Throws as encode_image, and StorageFull.
std::filesystem::path write_image(const std::filesystem::path& file, const Image& image,
                                  const ImageOptions& options = {},
                                  IfExists if_exists = IfExists::Replace);

}  // namespace annulus

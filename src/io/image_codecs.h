// The three picture formats, each behind the same two functions. For image.cc only. C libraries
// jump out of their errors: each codec keeps objects with destructors outside of the jump.
#pragma once

#include "io/image.h"

namespace annulus {

/// A file in memory and what to call it in messages.
struct ImageSource {
  std::span<const std::byte> bytes;
  const std::string& name;

  /// Throws InvalidRequest.
  [[noreturn]] void fail(std::string_view wanted, std::string_view found) const;
  /// Throws InvalidRequest when a picture of this size is over the limits or has no pixels.
  void check_size(std::int64_t width, std::int64_t height, const ImageLimits& limits) const;
};

/// An image of this size, its pixels zero. The size has been checked.
Image blank_image(std::int64_t width, std::int64_t height);

bool is_png(std::span<const std::byte> bytes) noexcept;
bool is_jpeg(std::span<const std::byte> bytes) noexcept;
bool is_webp(std::span<const std::byte> bytes) noexcept;

// Pixels as stored: the orientation in EXIF is not applied here.
Image decode_png(const ImageSource& source, const ImageLimits& limits);
Image decode_jpeg(const ImageSource& source, const ImageLimits& limits);
Image decode_webp(const ImageSource& source, const ImageLimits& limits);

// The image is whole: width x height x 3 bytes.
std::vector<std::byte> encode_png(const Image& image, const ImageText& text);
std::vector<std::byte> encode_jpeg(const Image& image, int quality, const ImageText& text);
std::vector<std::byte> encode_webp(const Image& image, int quality, bool lossless,
                                   const ImageText& text);

/// A WebP file with its description. Throws OutOfMemory.
std::vector<std::byte> webp_with_text(std::vector<std::byte> bytes, const ImageText& text);

}  // namespace annulus

// Where PNG, JPEG and WebP files keep what is not pixels. Walks the file's own list of parts;
// nothing is trusted and nothing is thrown for damage: what cannot be read is not there.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace annulus {

struct ImageSegments {
  std::span<const std::byte> exif;  // empty: none; within the file's bytes
  std::vector<std::pair<std::string, std::string>>
      texts;  // PNG: keyword and text; JPEG: comments under ""; UTF-8
};

/// More than 64 texts, or than 4 MiB of them together (when inflated), are left out.
ImageSegments find_segments(std::span<const std::byte> file);

}  // namespace annulus

// EXIF: the small TIFF file within JPEG, PNG and WebP files. Read for the orientation of a picture
// and for texts, written for texts. Start with `read_exif`.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/image.h"

namespace annulus {

struct Exif {
  int orientation = 1;                      // 1 to 8, as tag 274 counts: 1 is upright
  std::optional<std::string> description;   // ImageDescription
  std::optional<std::string> user_comment;  // UserComment, as UTF-8
};

/// What `bytes` (a TIFF header and directories, with or without "Exif\0\0" before) say; damaged
/// parts count as absent, since a picture is worth more than its labels.
Exif read_exif(std::span<const std::byte> bytes);

/// EXIF with these texts (UTF-8; an empty one is left out): the description as it is, the comment
/// in UTF-16 marked UNICODE, as the A1111 web UI writes it. Starts with the TIFF header.
std::vector<std::byte> make_exif(std::string_view description, std::string_view user_comment);

/// The image turned and mirrored so that it is upright. Throws OutOfMemory.
Image upright(Image image, int orientation);

}  // namespace annulus

#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "base/error.h"

namespace annulus {

/// The bytes of a small file (a tokenizer's table, a picture).
///
///   limit  bytes; a longer file is refused before memory for it is taken
///   code   what an error here means: CorruptFile for a model's file, InvalidRequest for a user's
///
/// Throws Error{code} when it is absent (NotFound when `code` is InvalidRequest), no regular file,
/// too long or unreadable.
std::vector<std::byte> read_file(const std::filesystem::path& file, std::size_t limit,
                                 ErrorCode code);

}  // namespace annulus

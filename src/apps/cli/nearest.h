#pragma once

#include <span>
#include <string>
#include <string_view>

namespace annulus::cli {

/// The candidate with the smallest edit distance to `word`, if it is near enough to be a slip of
/// the finger; else "".
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace annulus::cli

#pragma once

#include <cstddef>
#include <string_view>

namespace annulus {

/// How many insertions, deletions, replacements and swaps of neighbours lead from `a` to `b`
/// (Levenshtein's distance with swaps). Time is the product of the lengths.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace annulus

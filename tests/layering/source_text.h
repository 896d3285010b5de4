#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace annulus::layering {

/// C++ source with comments and the insides of string and character literals blanked out. Line
/// breaks and the names of quoted includes stay, so that a rule sees code only and can name a line.
std::string code_of(std::string_view source);

/// The lines of `text`, without their ends.
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace annulus::layering

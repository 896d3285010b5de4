// Which versions of other projects' libraries read and write files here, for reports.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace annulus {

/// Name and version of each, as the library itself says (libjpeg has its version in its header
/// only).
std::vector<std::pair<std::string, std::string>> io_libraries();

}  // namespace annulus

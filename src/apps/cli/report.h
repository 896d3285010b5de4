#pragma once

#include <filesystem>

#include "io/json.h"

namespace annulus::cli {

/// Writes a report as JSON to a file that appears whole, or to stdout for "-".
void write_report(const std::filesystem::path& file, const Json& report);

}  // namespace annulus::cli

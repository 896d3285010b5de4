#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace annulus::cli {

struct OutputFields {
  std::string_view prompt, model;
  std::uint64_t seed = 0;
  int index = 0;
};

/// Fills {prompt}, {seed}, {index} and {model} in. Prompts and model names become a file name's
/// part: letters and digits, the rest
/// '-', at most 60 bytes. Throws InvalidRequest for an unknown field or an unmatched brace.
std::filesystem::path output_name(std::string_view pattern, const OutputFields& fields);

}  // namespace annulus::cli

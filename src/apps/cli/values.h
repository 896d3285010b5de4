// Texts of options as values. Every failure is InvalidRequest naming the option, what was wanted
// and what was found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace annulus::cli {

std::int64_t parse_integer(std::string_view option, const std::string& text, std::int64_t least,
                           std::int64_t most);
std::uint64_t parse_seed(std::string_view option, const std::string& text);
float parse_number(std::string_view option, const std::string& text, float least, float most);
double parse_double(std::string_view option, const std::string& text, double least, double most);

/// "NAME=VALUE" in two.
std::pair<std::string, std::string> parse_pair(std::string_view option, const std::string& text);

/// The value that `text` names among {name, value} pairs.
template <class Pairs>
auto parse_choice(std::string_view option, const std::string& text, const Pairs& pairs) {
  std::string wanted;
  for (const auto& [name, value] : pairs) {
    if (name == text) return value;
    wanted += (wanted.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(ErrorCode::InvalidRequest,
              text_of("--", option, ": wanted one of ", wanted, ", found \"", text, "\""));
}

}  // namespace annulus::cli

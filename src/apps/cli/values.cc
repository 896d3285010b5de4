#include "apps/cli/values.h"

#include <charconv>
#include <cmath>

namespace annulus::cli {

namespace {

template <class T>
bool parsed(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end;
}

}  // namespace

std::int64_t parse_integer(std::string_view option, const std::string& text, std::int64_t least,
                           std::int64_t most) {
  std::int64_t value = 0;
  require(parsed(text, value) && value >= least && value <= most, ErrorCode::InvalidRequest, "--",
          option, ": wanted a whole number from ", least, " to ", most, ", found \"", text, "\"");
  return value;
}

std::uint64_t parse_seed(std::string_view option, const std::string& text) {
  std::uint64_t value = 0;
  require(parsed(text, value), ErrorCode::InvalidRequest, "--", option,
          ": wanted a whole number from 0 to 2^64 - 1, found \"", text, "\"");
  return value;
}

float parse_number(std::string_view option, const std::string& text, float least, float most) {
  float value = 0;
  require(parsed(text, value) && std::isfinite(value) && value >= least && value <= most,
          ErrorCode::InvalidRequest, "--", option, ": wanted a number from ", least, " to ", most,
          ", found \"", text, "\"");
  return value;
}

double parse_double(std::string_view option, const std::string& text, double least, double most) {
  double value = 0;
  require(parsed(text, value) && std::isfinite(value) && value >= least && value <= most,
          ErrorCode::InvalidRequest, "--", option, ": wanted a number from ", least, " to ", most,
          ", found \"", text, "\"");
  return value;
}

std::pair<std::string, std::string> parse_pair(std::string_view option, const std::string& text) {
  const std::size_t sign = text.find('=');
  require(sign != std::string::npos && sign > 0 && sign + 1 < text.size(),
          ErrorCode::InvalidRequest, "--", option, ": wanted NAME=VALUE, found \"", text, "\"");
  return {text.substr(0, sign), text.substr(sign + 1)};
}

}  // namespace annulus::cli

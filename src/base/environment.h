#pragma once

#include <string_view>

namespace annulus {

/// The variable's value; empty when it is not set. Nothing in the program sets variables, so any
/// thread may ask.
std::string_view environment(const char* name) noexcept;

}  // namespace annulus

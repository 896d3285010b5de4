#pragma once

#include <string_view>

namespace annulus {

/// The variable's value; empty when it is not set. Nothing sets variables once there are
/// threads, so any may ask.
std::string_view environment(const char* name) noexcept;

}  // namespace annulus

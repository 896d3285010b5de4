#pragma once

#include <string>

namespace annulus {

/// What runs parallel_for (parallel_for.cc): "OpenMP 201511" (the date of its specification) or
/// "std::thread".
std::string thread_runtime();

}  // namespace annulus

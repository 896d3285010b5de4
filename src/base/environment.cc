#include "base/environment.h"

#include <cstdlib>

namespace annulus {

std::string_view environment(const char* name) noexcept {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing sets any
  return value != nullptr ? value : std::string_view{};
}

}  // namespace annulus

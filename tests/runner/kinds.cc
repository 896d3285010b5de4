#include "kinds.h"

#include <array>

namespace annulus::goldens {
namespace {

constexpr std::array<Kind, 1> kKinds = {{
    {"rng", run_rng},
}};

}  // namespace

std::span<const Kind> kinds() noexcept {
  return kKinds;
}

}  // namespace annulus::goldens

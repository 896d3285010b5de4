#include "kinds.h"

#include <array>

namespace annulus::goldens {
namespace {

constexpr std::array<Kind, 3> kKinds = {{
    {"rng", run_rng},
    {"transformer", run_transformer},
    {"vae", run_vae},
}};

}  // namespace

std::span<const Kind> kinds() noexcept {
  return kKinds;
}

}  // namespace annulus::goldens

#include "kinds.h"

#include <array>

namespace annulus::goldens {
namespace {

constexpr auto kKinds = std::to_array<Kind>({
    {"attention", run_attention},
    {"attention_merge", run_attention_merge},
    {"mu", run_mu},
    {"rng", run_rng},
    {"scheduler", run_scheduler},
    {"transformer", run_transformer},
    {"vae", run_vae},
});

}  // namespace

std::span<const Kind> kinds() noexcept {
  return kKinds;
}

}  // namespace annulus::goldens

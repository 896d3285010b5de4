#include "base/random/mt19937.h"

namespace annulus {
namespace {

constexpr std::size_t kMiddle = 397;

/// The recurrence's step from the upper bit of `high` and the lower bits of `low`.
constexpr std::uint32_t twisted(std::uint32_t high, std::uint32_t low) noexcept {
  const std::uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (mixed >> 1) ^ ((low & 1u) != 0 ? 0x9908b0dfu : 0u);
}

}  // namespace

Mt19937::Mt19937(std::uint32_t seed) noexcept {
  state_[0] = seed;
  for (std::size_t i = 1; i < kWords; ++i)
    state_[i] =
        1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<std::uint32_t>(i);
}

void Mt19937::refill() noexcept {
  for (std::size_t i = 0; i < kWords - kMiddle; ++i)
    state_[i] = state_[i + kMiddle] ^ twisted(state_[i], state_[i + 1]);
  for (std::size_t i = kWords - kMiddle; i < kWords - 1; ++i)
    state_[i] = state_[i + kMiddle - kWords] ^ twisted(state_[i], state_[i + 1]);
  state_[kWords - 1] = state_[kMiddle - 1] ^ twisted(state_[kWords - 1], state_[0]);
  next_ = 0;
}

}  // namespace annulus

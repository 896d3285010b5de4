#include "base/random/numpy_random_state.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace annulus {

std::uint64_t NumpyRandomState::bits64() noexcept {
  const std::uint64_t high = engine_();
  return (high << 32) | engine_();
}

double NumpyRandomState::random() noexcept {
  const std::uint32_t high = engine_() >> 5, low = engine_() >> 6;
  return (static_cast<double>(high) * 67108864.0 + static_cast<double>(low)) / 9007199254740992.0;
}

void NumpyRandomState::random(std::span<double> out) noexcept {
  for (double& x : out) x = random();
}

double NumpyRandomState::randn() noexcept {
  if (kept_normal_) return *std::exchange(kept_normal_, std::nullopt);
  for (;;) {
    const double x = 2.0 * random() - 1.0, y = 2.0 * random() - 1.0;
    const double square = x * x + y * y;
    if (square >= 1.0 || square == 0.0) continue;
    const double factor = std::sqrt(-2.0 * std::log(square) / square);
    kept_normal_ = factor * x;
    return factor * y;
  }
}

void NumpyRandomState::randn(std::span<double> out) noexcept {
  for (double& x : out) x = randn();
}

std::uint64_t NumpyRandomState::bounded(std::uint64_t most) noexcept {
  if (most == 0) return 0;
  const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(most);
  for (;;) {
    const std::uint64_t x = (most <= 0xffffffffu ? bits32() : bits64()) & mask;
    if (x <= most) return x;
  }
}

void NumpyRandomState::randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out) {
  require(low < high, ErrorCode::InvalidRequest, "randint: wanted low < high, found ", low, " and ",
          high);
  const std::uint64_t most = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) - 1;
  for (std::int64_t& x : out)
    x = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + bounded(most));
}

void NumpyRandomState::permutation(std::span<std::int64_t> out) noexcept {
  std::iota(out.begin(), out.end(), std::int64_t{0});
  for (std::size_t i = out.size(); i-- > 1;) std::swap(out[i], out[bounded(i)]);
}

}  // namespace annulus

#include "base/random/numpy_generator.h"

#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/random/ziggurat_table.h"

namespace annulus {
namespace {

/// numpy.random.SeedSequence: spreads the bits of a seed over a pool of four words, and the pool
/// over as many words as asked. Source: O'Neill, Developing a seed_seq Alternative, 2015.
class SeedSequence {
 public:
  explicit SeedSequence(std::uint64_t seed) noexcept {
    const std::array<std::uint32_t, 4> entropy = {static_cast<std::uint32_t>(seed),
                                                  static_cast<std::uint32_t>(seed >> 32), 0, 0};
    std::uint32_t multiplier = 0x43b0d7e5u;
    const auto hashed = [&multiplier](std::uint32_t x) {
      x ^= multiplier;
      multiplier *= 0x931e8875u;
      x *= multiplier;
      return x ^ (x >> 16);
    };
    for (std::size_t i = 0; i < pool_.size(); ++i) pool_[i] = hashed(entropy[i]);
    for (std::size_t from = 0; from < pool_.size(); ++from) {
      for (std::size_t to = 0; to < pool_.size(); ++to) {
        if (from == to) continue;
        const std::uint32_t mixed = 0xca01f9ddu * pool_[to] - 0x4973f715u * hashed(pool_[from]);
        pool_[to] = mixed ^ (mixed >> 16);
      }
    }
  }

  /// The first four 64-bit words; the lower half of each comes first.
  std::array<std::uint64_t, 4> words() const noexcept {
    std::array<std::uint64_t, 4> words{};
    std::uint32_t multiplier = 0x8b51f9ddu;
    for (std::size_t i = 0; i < 8; ++i) {
      std::uint32_t x = pool_[i % pool_.size()] ^ multiplier;
      multiplier *= 0x58f38dedu;
      x *= multiplier;
      x ^= x >> 16;
      words[i / 2] |= static_cast<std::uint64_t>(x) << (32 * (i % 2));
    }
    return words;
  }

 private:
  std::array<std::uint32_t, 4> pool_{};
};

}  // namespace

NumpyGenerator::NumpyGenerator(std::uint64_t seed) noexcept {
  const std::array<std::uint64_t, 4> words = SeedSequence(seed).words();
  const auto joined = [](std::uint64_t high, std::uint64_t low) {
    return (static_cast<Word128>(high) << 64) | low;
  };
  increment_ = (joined(words[2], words[3]) << 1) | 1;
  advance();
  state_ += joined(words[0], words[1]);
  advance();
}

void NumpyGenerator::advance() noexcept {
  constexpr Word128 kMultiplier =
      (static_cast<Word128>(2549297995355413924u) << 64) | 4865540595714422341u;
  state_ = state_ * kMultiplier + increment_;
}

std::uint64_t NumpyGenerator::bits64() noexcept {
  advance();
  const std::uint64_t high = static_cast<std::uint64_t>(state_ >> 64);
  return std::rotr(high ^ static_cast<std::uint64_t>(state_), static_cast<int>(high >> 58));
}

std::uint32_t NumpyGenerator::bits32() noexcept {
  if (kept_half_) return *std::exchange(kept_half_, std::nullopt);
  const std::uint64_t word = bits64();
  kept_half_ = static_cast<std::uint32_t>(word >> 32);
  return static_cast<std::uint32_t>(word);
}

double NumpyGenerator::random() noexcept {
  return static_cast<double>(bits64() >> 11) * 0x1p-53;
}

void NumpyGenerator::random(std::span<double> out) noexcept {
  for (double& x : out) x = random();
}

double NumpyGenerator::tail_normal(bool negative) noexcept {
  for (;;) {
    const double beyond = -kZigguratTailInverse * std::log1p(-random());
    const double bound = -std::log1p(-random());
    if (bound + bound > beyond * beyond)
      return negative ? -(kZigguratTail + beyond) : kZigguratTail + beyond;
  }
}

double NumpyGenerator::standard_normal() noexcept {
  for (;;) {
    const std::uint64_t bits = bits64();
    const std::size_t index = bits & 0xff;
    const ZigguratLayer& layer = ziggurat_layers()[index];
    const std::uint64_t magnitude = (bits >> 9) & 0xfffffffffffffu;
    const double distance = static_cast<double>(magnitude) * layer.width;
    const double x = (bits & 0x100) != 0 ? -distance : distance;
    if (magnitude < layer.inside) return x;
    if (index == 0) return tail_normal(((magnitude >> 8) & 1) != 0);
    const double above = ziggurat_layers()[index - 1].height - layer.height;
    if (above * random() + layer.height < std::exp(-0.5 * x * x)) return x;
  }
}

void NumpyGenerator::standard_normal(std::span<double> out) noexcept {
  for (double& x : out) x = standard_normal();
}

std::uint64_t NumpyGenerator::bounded(std::uint64_t most) noexcept {
  if (most == 0) return 0;
  if (most < 0xffffffffu) {
    const std::uint32_t count = static_cast<std::uint32_t>(most) + 1;
    const std::uint32_t uneven =
        (0u - count) % count;  // low halves below this would be drawn too often
    for (;;) {
      const std::uint64_t product = static_cast<std::uint64_t>(bits32()) * count;
      if (static_cast<std::uint32_t>(product) >= uneven) return product >> 32;
    }
  }
  if (most == 0xffffffffu) return bits32();
  if (most == ~std::uint64_t{0}) return bits64();
  const std::uint64_t count = most + 1;
  const std::uint64_t uneven = (0u - count) % count;
  for (;;) {
    const Word128 product = static_cast<Word128>(bits64()) * count;
    if (static_cast<std::uint64_t>(product) >= uneven)
      return static_cast<std::uint64_t>(product >> 64);
  }
}

void NumpyGenerator::integers(std::int64_t low, std::int64_t high, std::span<std::int64_t> out) {
  require(low < high, ErrorCode::InvalidRequest, "integers: wanted low < high, found ", low,
          " and ", high);
  const std::uint64_t most = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) - 1;
  for (std::int64_t& x : out)
    x = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + bounded(most));
}

void NumpyGenerator::permutation(std::span<std::int64_t> out) noexcept {
  std::iota(out.begin(), out.end(), std::int64_t{0});
  for (std::size_t i = out.size(); i-- > 1;) {  // numpy draws these with a mask, not as integers()
    const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(std::uint64_t{i});
    std::uint64_t other = 0;
    do other = (i <= 0xffffffffu ? bits32() : bits64()) & mask;
    while (other > i);
    std::swap(out[i], out[other]);
  }
}

}  // namespace annulus

#include "base/random/torch_generator.h"

#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/random/box_muller.h"

namespace annulus {
namespace {

constexpr std::size_t kBlock = 16;

float uniform_of(std::uint32_t bits) noexcept {
  return static_cast<float>(bits & 0xffffffu) * 0x1p-24f;
}

double uniform_of(std::uint64_t bits) noexcept {
  return static_cast<double>(bits & 0x1fffffffffffffu) * 0x1p-53;
}

}  // namespace

TorchGenerator::TorchGenerator(std::uint64_t seed) noexcept
    : engine_(static_cast<std::uint32_t>(seed)) {}

std::uint64_t TorchGenerator::bits64() noexcept {
  const std::uint64_t high = engine_();
  return (high << 32) | engine_();
}

double TorchGenerator::one_normal() noexcept {
  if (kept_normal_) return *std::exchange(kept_normal_, std::nullopt);
  const double u1 = uniform_of(bits64()), u2 = uniform_of(bits64());
  const double radius = std::sqrt(-2.0 * std::log1p(-u2)), theta = 2.0 * std::numbers::pi * u1;
  kept_normal_ = radius * std::sin(theta);
  return radius * std::cos(theta);
}

template <class T>
void TorchGenerator::fill_uniform(std::span<T> out) noexcept {
  for (T& x : out) {
    if constexpr (std::is_same_v<T, double>) {
      x = uniform_of(bits64());
    } else {
      x = convert<T>(uniform_of(bits32()));
      if (to_float(x) == 1.0f) x = T{};  // 16 bits may round up to 1, which is outside
    }
  }
}

template <class T>
void TorchGenerator::fill_normal(std::span<T> out) noexcept {
  if (out.size() < kBlock) {
    for (T& x : out) x = convert<T>(one_normal());
    return;
  }
  const std::size_t tail = out.size() % kBlock;
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    fill_uniform(out);  // the tail's numbers too, though they are drawn again below
    box_muller_16(out.data(), static_cast<std::int64_t>(out.size() / kBlock));
    if (tail != 0) fill_block(out.last(kBlock));
  } else {
    for (std::size_t i = 0; i + kBlock <= out.size(); i += kBlock)
      fill_block(out.subspan(i, kBlock));
    if (tail != 0) fill_block(out.last(kBlock));
  }
}

/// 16 normal numbers of 16 uniform ones; arithmetic in f32 for 16-bit types.
template <class T>
void TorchGenerator::fill_block(std::span<T> block) noexcept {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  std::array<Wide, kBlock> numbers;
  fill_uniform(std::span<Wide>(numbers));
  box_muller_16(numbers.data(), 1);
  for (std::size_t i = 0; i < kBlock; ++i) block[i] = convert<T>(numbers[i]);
}

void TorchGenerator::randn(std::span<float> out) noexcept {
  fill_normal(out);
}
void TorchGenerator::randn(std::span<double> out) noexcept {
  fill_normal(out);
}
void TorchGenerator::randn(std::span<F16> out) noexcept {
  fill_normal(out);
}
void TorchGenerator::randn(std::span<Bf16> out) noexcept {
  fill_normal(out);
}

void TorchGenerator::randn_one_by_one(std::span<float> out) noexcept {
  for (float& x : out) x = static_cast<float>(one_normal());
}

void TorchGenerator::rand(std::span<float> out) noexcept {
  fill_uniform(out);
}
void TorchGenerator::rand(std::span<double> out) noexcept {
  fill_uniform(out);
}
void TorchGenerator::rand(std::span<F16> out) noexcept {
  fill_uniform(out);
}
void TorchGenerator::rand(std::span<Bf16> out) noexcept {
  fill_uniform(out);
}

void TorchGenerator::randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out) {
  require(low < high, ErrorCode::InvalidRequest, "randint: wanted low < high, found ", low, " and ",
          high);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  // Where a word is not much longer than the range its remainder would be uneven: two words then.
  const bool wide = range >= (std::uint64_t{1} << 28);
  for (std::int64_t& x : out) {
    const std::uint64_t bits = wide ? bits64() : bits32();
    x = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + bits % range);
  }
}

void TorchGenerator::randperm(std::span<std::int64_t> out) {
  require(out.size() <= std::size_t{0x7fffffff}, ErrorCode::InvalidRequest,
          "randperm: wanted at most 2147483647 elements, found ", out.size());
  std::iota(out.begin(), out.end(), std::int64_t{0});
  for (std::size_t i = 0; i + 1 < out.size(); ++i)
    std::swap(out[i], out[i + bits32() % (out.size() - i)]);
}

void TorchGenerator::bernoulli(double probability, std::span<float> out) {
  require(probability >= 0 && probability <= 1, ErrorCode::InvalidRequest,
          "bernoulli: wanted a probability in [0, 1], found ", probability);
  for (float& x : out) x = uniform_of(bits64()) < probability ? 1.0f : 0.0f;
}

void TorchGenerator::bernoulli(std::span<const float> probabilities, std::span<float> out) {
  require(probabilities.size() == out.size(), ErrorCode::InvalidRequest,
          "bernoulli: ", probabilities.size(), " probabilities for ", out.size(), " elements");
  for (std::size_t i = 0; i < out.size(); ++i) {
    require(probabilities[i] >= 0 && probabilities[i] <= 1, ErrorCode::InvalidRequest,
            "bernoulli: wanted probabilities in [0, 1], found ", probabilities[i], " at ", i);
    out[i] = uniform_of(bits32()) < probabilities[i] ? 1.0f : 0.0f;
  }
}

}  // namespace annulus

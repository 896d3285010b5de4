#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/random/mt19937.h"

namespace annulus {

/// numpy.random.RandomState(seed) bit for bit: the legacy generator. A value: a copy continues from
/// the same state. Source: numpy's legacy-distributions and its bounded integers with masks.
class NumpyRandomState {
 public:
  explicit NumpyRandomState(std::uint32_t seed) noexcept : engine_(seed) {}

  std::uint32_t bits32() noexcept { return engine_(); }
  std::uint64_t bits64() noexcept;  // the first of two words is the upper half

  /// random_sample, rand: uniform in [0, 1), 53 bits.
  double random() noexcept;
  void random(std::span<double> out) noexcept;

  /// randn, standard_normal: the polar method, whose second number is kept for the next call.
  double randn() noexcept;
  void randn(std::span<double> out) noexcept;

  /// randint(low, high) of dtype int64: integers in [low, high). Throws InvalidRequest when there
  /// is none.
  void randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out);

  /// permutation(out.size()).
  void permutation(std::span<std::int64_t> out) noexcept;

 private:
  std::uint64_t bounded(std::uint64_t most) noexcept;  // [0, most]

  Mt19937 engine_;
  std::optional<double> kept_normal_;
};

}  // namespace annulus

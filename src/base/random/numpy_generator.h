#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace annulus {

/// numpy.random.default_rng(seed) bit for bit: PCG64 seeded by SeedSequence, normal numbers by the
/// ziggurat. A value: a copy continues from the same state.
/// Source: O'Neill, PCG (2014): PCG XSL RR 128/64; numpy's distributions; Marsaglia and Tsang, The
/// Ziggurat Method, J. Stat. Software 5(8), 2000; Lemire, arXiv 1805.10941 (integers).
class NumpyGenerator {
 public:
  explicit NumpyGenerator(std::uint64_t seed) noexcept;

  std::uint32_t bits32() noexcept;  // half of a 64-bit word, the other half is kept
  std::uint64_t bits64() noexcept;

  /// random(): uniform in [0, 1), 53 bits.
  double random() noexcept;
  void random(std::span<double> out) noexcept;

  double standard_normal() noexcept;
  void standard_normal(std::span<double> out) noexcept;

  /// integers(low, high) of dtype int64: in [low, high). Throws InvalidRequest when there is none.
  void integers(std::int64_t low, std::int64_t high, std::span<std::int64_t> out);

  /// permutation(out.size()).
  void permutation(std::span<std::int64_t> out) noexcept;

 private:
  __extension__ using Word128 = unsigned __int128;

  void advance() noexcept;
  double tail_normal(bool negative) noexcept;
  std::uint64_t bounded(std::uint64_t most) noexcept;  // [0, most]

  Word128 state_ = 0, increment_ = 0;
  std::optional<std::uint32_t> kept_half_;
};

}  // namespace annulus

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace annulus {

/// The Mersenne Twister that torch and numpy's RandomState share: the 2002 initialisation from one
/// word, 32 bits a call. A value: a copy continues from the same state.
/// Source: Matsumoto and Nishimura, ACM TOMACS 8(1), 1998, with init_genrand of 2002.
class Mt19937 {
 public:
  explicit Mt19937(std::uint32_t seed) noexcept;

  std::uint32_t operator()() noexcept {
    if (next_ == kWords) refill();
    std::uint32_t y = state_[next_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

 private:
  static constexpr std::size_t kWords = 624;
  void refill() noexcept;

  std::array<std::uint32_t, kWords> state_{};
  std::size_t next_ = kWords;
};

}  // namespace annulus

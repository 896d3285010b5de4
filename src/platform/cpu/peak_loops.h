#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "attention/cpu/flash.h"

namespace annulus {

/// A loop of independent multiply-adds that fills one kind of unit.
struct PeakLoop {
  std::string name;             // "f32 fma avx512"
  std::string unit;             // "flop/s" or "op/s" (integers)
  Isa isa;                      // the instruction set it needs
  double operations_per_round;  // a multiply and an add count as two
  void (*run)(std::int64_t rounds) noexcept;
};

std::span<const PeakLoop> peak_loops();

/// Makes the compiler believe that `value` is used.
void keep(std::uint64_t value) noexcept;

}  // namespace annulus

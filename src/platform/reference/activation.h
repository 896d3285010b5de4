#pragma once

#include <cmath>
#include <numbers>

#include "platform/op_table.h"

namespace annulus::reference {

inline double activated(Activation activation, double x) noexcept {
  switch (activation) {
    case Activation::None:
      return x;
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::GeluTanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::GeluErf:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::QuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::Relu:
      return x < 0 ? 0 : x;
  }
  return x;
}

}  // namespace annulus::reference

#pragma once

#include <cmath>
#include <numbers>

#include "platform/op_table.h"

namespace annulus::reference {

template <class Real>
Real activated(Activation activation, Real x) noexcept {
  switch (activation) {
    case Activation::None:
      return x;
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::GeluTanh:
      return x / 2 *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi_v<Real>) *
                            (x + static_cast<Real>(0.044715) * x * x * x)));
    case Activation::GeluErf:
      return x / 2 * (1 + std::erf(x / std::numbers::sqrt2_v<Real>));
    case Activation::QuickGelu:
      return x / (1 + std::exp(static_cast<Real>(-1.702) * x));
    case Activation::Relu:
      return x < 0 ? 0 : x;
  }
  return x;
}

}  // namespace annulus::reference

#include "schedulers/beta_quantile.h"

#include <cmath>
#include <initializer_list>

namespace annulus {
namespace {

/// The continued fraction of the incomplete beta function, evaluated from the front.
/// Source: Abramowitz and Stegun, 26.5.8; Lentz, Applied Optics 15, 668 (1976).
double fraction(double x, double a, double b) noexcept {
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double above = 1, below = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), value = below;
  for (int m = 1; m < 500; ++m) {
    for (const bool even : {true, false}) {
      const double term = even ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                               : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      below = 1 / away_from_zero(1 + term * below);
      above = away_from_zero(1 + term / above);
      value *= above * below;
    }
    if (std::abs(above * below - 1) < 1e-16) break;
  }
  return value;
}

/// Share of Beta(a, b) below x.
double share_below(double x, double a, double b) noexcept {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double scale =
      std::tgamma(a + b) / (std::tgamma(a) * std::tgamma(b)) * std::pow(x, a) * std::pow(1 - x, b);
  return x < (a + 1) / (a + b + 2) ? scale * fraction(x, a, b) / a
                                   : 1 - scale * fraction(1 - x, b, a) / b;
}

}  // namespace

double beta_quantile(double p, double a, double b) noexcept {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  double low = 0, high = 1;
  while (true) {  // halving: each turn gains a bit, until neighbours meet
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (share_below(middle, a, b) < p ? low : high) = middle;
  }
}

}  // namespace annulus

#pragma once

namespace annulus {

/// The x in [0, 1] below which a share `p` of the Beta(a, b) distribution lies, to about 1e-14; p
/// in [0, 1], a and b positive.
double beta_quantile(double p, double a, double b) noexcept;

}  // namespace annulus

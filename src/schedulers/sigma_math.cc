#include "schedulers/sigma_math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "schedulers/beta_quantile.h"

namespace annulus {

std::vector<double> linspace(double start, double stop, int count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  const double intervals = count - 1, delta = stop - start;
  const double step = intervals > 0 ? delta / intervals : 0;
  for (int i = 0; i < count; ++i) {
    const double along = step != 0 ? i * step : (intervals > 0 ? i / intervals * delta : 0);
    values[static_cast<std::size_t>(i)] = along + start;
  }
  if (count > 1) values.back() = stop;
  return values;
}

std::vector<double> rounded_arange(double start, double stop, double step) {
  const double count = std::ceil((stop - start) / step);
  const double delta = (start + step) - start;  // numpy steps by the difference of the first two
  std::vector<double> values(count > 0 ? static_cast<std::size_t>(count) : 0);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::nearbyint(start + static_cast<double>(i) * delta);
  return values;
}

std::vector<float> linspace_f32(float start, float stop, int count) {
  std::vector<float> values(static_cast<std::size_t>(count), start);
  if (count < 2) return values;
  const float step = (stop - start) / static_cast<float>(count - 1);
  for (int i = 0; i < count; ++i) {
    values[static_cast<std::size_t>(i)] =
        i < count / 2 ? std::fma(step, static_cast<float>(i), start)
                      : std::fma(-step, static_cast<float>(count - i - 1), stop);
  }
  return values;
}

double interpolated(double x, std::span<const float> values) noexcept {
  const double last = static_cast<double>(values.size() - 1);
  if (x <= 0) return values.front();
  if (x >= last) return values.back();
  const std::size_t below = static_cast<std::size_t>(x);
  const double low = values[below], slope = double{values[below + 1]} - low;
  return slope * (x - static_cast<double>(below)) + low;
}

float numpy_log(float x) noexcept {
  if (!(x >= 0x1p-126f) || std::isinf(x)) return std::log(x);
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  float exponent = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 126);
  float m = std::bit_cast<float>((bits & 0x7fffffu) | 0x3f000000u);  // [1/2, 1)
  if (m <= 0.707106781186547524400844362104849039f) {
    m += m;
    exponent -= 1.0f;
  }
  m -= 1.0f;
  float above = 2.589979117907922693523e-02f;
  above = std::fma(above, m, 3.808837741388407920751e-01f);
  above = std::fma(above, m, 1.480000633576506585156e+00f);
  above = std::fma(above, m, 2.112677543073053063722e+00f);
  above = std::fma(above, m, 9.999999999999998702752e-01f);
  above = std::fma(above, m, 0.0f);
  float below = 5.875095403124574342950e-03f;
  below = std::fma(below, m, 1.546476374983906719538e-01f);
  below = std::fma(below, m, 9.864942958519418960339e-01f);
  below = std::fma(below, m, 2.453006071784736363091e+00f);
  below = std::fma(below, m, 2.612677543073109236779e+00f);
  below = std::fma(below, m, 1.0f);
  return std::fma(exponent, 0.693147180559945309417232121458176568f, above / below);
}

std::vector<double> spaced_sigmas(SigmaSpacing spacing, double most, double least, int count) {
  std::vector<double> sigmas;
  switch (spacing) {
    case SigmaSpacing::Karras: {
      constexpr double kRho = 7;
      const double high = std::pow(most, 1 / kRho), low = std::pow(least, 1 / kRho);
      sigmas = linspace(0, 1, count);
      for (double& x : sigmas) x = std::pow(high + x * (low - high), kRho);
      break;
    }
    case SigmaSpacing::Beta:
      sigmas = linspace(0, 1, count);
      for (double& x : sigmas) x = least + beta_quantile(1 - x, 0.6, 0.6) * (most - least);
      break;
    default:
      sigmas = linspace(std::log(most), std::log(least), count);
      for (double& x : sigmas) x = std::exp(x);
  }
  return sigmas;
}

double timestep_of(double sigma, std::span<const float> log_sigmas) noexcept {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  std::size_t low = 0;
  for (std::size_t i = 0; i < log_sigmas.size(); ++i)
    if (log_sigma - log_sigmas[i] >= 0) low = i;
  low = std::min(low, log_sigmas.size() - 2);
  const float interval = log_sigmas[low] - log_sigmas[low + 1];
  const double weight = std::clamp((log_sigmas[low] - log_sigma) / interval, 0.0, 1.0);
  return (1 - weight) * static_cast<double>(low) + weight * static_cast<double>(low + 1);
}

template <class T>
void stretch_to_terminal(std::vector<T>& sigmas, double terminal) {
  const T factor = (T{1} - sigmas.back()) / static_cast<T>(1 - terminal);
  require(factor != 0, ErrorCode::InvalidRequest, "steps: wanted at least 2 with shift_terminal ",
          terminal, ", found ", sigmas.size());
  for (T& sigma : sigmas) sigma = T{1} - (T{1} - sigma) / factor;
}

template void stretch_to_terminal<float>(std::vector<float>&, double);
template void stretch_to_terminal<double>(std::vector<double>&, double);

}  // namespace annulus

// Arithmetic on short lists of noise levels, in the order of operations of numpy and torch:
// timesteps are truncated to whole numbers, so the last bit can matter. Built without fused
// contraction.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace annulus {

/// numpy.linspace(start, stop, count), f64.
std::vector<double> linspace(double start, double stop, int count);

/// numpy.arange(start, stop, step).round(), f64: ties to even.
std::vector<double> rounded_arange(double start, double stop, double step);

/// torch.linspace of f32: from both ends inwards.
std::vector<float> linspace_f32(float start, float stop, int count);

/// numpy.interp(x, arange(values.size()), values).
double interpolated(double x, std::span<const float> values) noexcept;

/// numpy.log of f32, whose last bit is not that of the C library.
float numpy_log(float x) noexcept;

/// How levels lie between the largest and the smallest.
enum class SigmaSpacing { AsGiven, Karras, Exponential, Beta };

/// `count` levels from `most` down to `least`. Karras: rho = 7. Beta: the quantiles of Beta(0.6,
/// 0.6). Source: Karras et al. arXiv 2206.00364, eq. 5; Lee et al. arXiv 2407.12173.
std::vector<double> spaced_sigmas(SigmaSpacing spacing, double most, double least, int count);

/// Timestep (not whole) at which the training noise has level sigma, between those of rising or
/// falling `log_sigmas`. Source: k-diffusion, DiscreteSchedule.sigma_to_t.
double timestep_of(double sigma, std::span<const float> log_sigmas) noexcept;

/// Shifts a level in (0, 1]: factor * sigma / (1 + (factor - 1) * sigma), in T.
template <class T>
T shifted(T sigma, double factor) noexcept {
  return static_cast<T>(factor) * sigma / (T{1} + static_cast<T>(factor - 1) * sigma);
}

/// The shift of dynamic shifting: e / (e + (1 / sigma - 1)), e = exp(mu) or mu itself when
/// `linear`.
template <class T>
T time_shifted(T sigma, double e) noexcept {
  return static_cast<T>(e) / (static_cast<T>(e) + (T{1} / sigma - T{1}));
}

/// Stretches falling levels so that the last is `terminal`. Throws InvalidRequest when the last is
/// 1 already (a single step).
template <class T>
void stretch_to_terminal(std::vector<T>& sigmas, double terminal);

}  // namespace annulus

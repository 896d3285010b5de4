#include "schedulers/training_noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "schedulers/sigma_math.h"

namespace annulus {
namespace {

constexpr int kMostTimesteps = 1'000'000;

/// torch.cumprod of 1 - beta: the product is kept in f64.
std::vector<float> products_of(const std::vector<float>& betas) {
  std::vector<float> products(betas.size());
  double product = 1;
  for (std::size_t i = 0; i < betas.size(); ++i) {
    product *= double{1.0f - betas[i]};
    products[i] = static_cast<float>(product);
  }
  return products;
}

/// Betas whose cumulative product follows a squared cosine. Source: Nichol and Dhariwal, arXiv
/// 2102.09672, eq. 17.
std::vector<float> cosine_betas(int count) {
  const auto bar = [count](int i) {
    const double t = static_cast<double>(i) / count;
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    betas[static_cast<std::size_t>(i)] =
        static_cast<float>(std::min(1 - bar(i + 1) / bar(i), 0.999));
  return betas;
}

/// Betas moved so that nothing of the signal is left at the end. Source: arXiv 2305.08891,
/// algorithm 1.
std::vector<float> without_final_signal(const std::vector<float>& betas) {
  std::vector<float> roots = products_of(betas);
  for (float& x : roots) x = std::sqrt(x);
  const float first = roots.front(), last = roots.back(), factor = first / (first - last);
  for (float& x : roots) x = (x - last) * factor;
  std::vector<float> moved(roots.size());
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const float bar = roots[i] * roots[i];
    moved[i] = 1.0f - (i == 0 ? bar : bar / (roots[i - 1] * roots[i - 1]));
  }
  return moved;
}

std::vector<float> betas_of(SchedulerOptions& options, int count) {
  const double start = options.number("beta_start", 1e-4, 0.0, 1.0);
  const double end = options.number("beta_end", 0.02, 0.0, 1.0);
  const std::string schedule =
      options.choice("beta_schedule", "linear", {"linear", "scaled_linear", "squaredcos_cap_v2"});
  if (const auto trained = options.find<std::vector<float>>("trained_betas")) {
    if (static_cast<int>(trained->size()) != count)
      options.unsupported("trained_betas", text_of(trained->size(), " numbers"),
                          text_of(count, ", as num_train_timesteps says"));
    return *trained;
  }
  if (schedule == "squaredcos_cap_v2") return cosine_betas(count);
  if (schedule == "linear")
    return linspace_f32(static_cast<float>(start), static_cast<float>(end), count);
  std::vector<float> betas =
      linspace_f32(static_cast<float>(std::sqrt(start)), static_cast<float>(std::sqrt(end)), count);
  for (float& x : betas) x *= x;
  return betas;
}

}  // namespace

TrainingNoise training_noise(SchedulerOptions& options) {
  const int count = options.number("num_train_timesteps", 1000, 2, kMostTimesteps);
  std::vector<float> betas = betas_of(options, count);
  const bool rescale = options.flag("rescale_betas_zero_snr", false);
  if (rescale) betas = without_final_signal(betas);
  TrainingNoise noise{products_of(betas), {}, {}};
  if (rescale) noise.alphas_cumprod.back() = 0x1p-24f;  // not 0, so that the level stays finite
  for (const float x : noise.alphas_cumprod) {
    if (!(x > 0 && x < 1))
      options.unsupported("beta_start, beta_end", text_of("a remaining signal of ", x),
                          "noise that leaves between none and all of the signal");
    noise.sigmas.push_back(std::sqrt((1.0f - x) / x));
    noise.log_sigmas.push_back(numpy_log(noise.sigmas.back()));
  }
  return noise;
}

std::vector<double> multistep_timesteps(const std::string& spacing, int training, int last,
                                        int steps, int offset) {
  if (spacing == "trailing") {
    std::vector<double> falling = rounded_arange(last, 0, -(static_cast<double>(training) / steps));
    for (double& t : falling) t -= 1;
    return falling;
  }
  std::vector<double> rising(static_cast<std::size_t>(steps) + 1);
  if (spacing == "linspace") {
    rising = linspace(0, last - 1, steps + 1);
    for (double& t : rising) t = std::nearbyint(t);
  } else {
    const int ratio = last / (steps + 1);
    for (int i = 0; i <= steps; ++i)
      rising[static_cast<std::size_t>(i)] = static_cast<double>(i) * ratio + offset;
  }
  return {rising.rbegin(), rising.rend() - 1};
}

}  // namespace annulus

#include "schedulers/multistep.h"

#include <cmath>

#include "schedulers/threshold.h"
#include "schedulers/weighted_sum.h"

namespace annulus {

float log_f32(float x) noexcept {
  return static_cast<float>(std::log(double{x}));
}

float exp_f32(float x) noexcept {
  return static_cast<float>(std::exp(double{x}));
}

float expm1_f32(float x) noexcept {
  return static_cast<float>(std::expm1(double{x}));
}

float NoiseLevel::lambda() const noexcept {
  return log_f32(alpha) - log_f32(sigma);
}

SigmaSpacing read_spacing(SchedulerOptions& options) {
  const bool karras = options.flag("use_karras_sigmas", false);
  const bool exponential = options.flag("use_exponential_sigmas", false);
  const bool beta = options.flag("use_beta_sigmas", false);
  if (int{karras} + int{exponential} + int{beta} > 1)
    options.unsupported("use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas", "several",
                        "one of them");
  if (karras) return SigmaSpacing::Karras;
  if (exponential) return SigmaSpacing::Exponential;
  return beta ? SigmaSpacing::Beta : SigmaSpacing::AsGiven;
}

MultistepOptions MultistepOptions::read(SchedulerOptions& options) {
  MultistepOptions made;
  made.noise = training_noise(options);
  const std::string prediction = options.choice(
      "prediction_type", "epsilon", {"epsilon", "sample", "v_prediction", "flow_prediction"});
  made.prediction = prediction == "epsilon"        ? Prediction::Epsilon
                    : prediction == "sample"       ? Prediction::Sample
                    : prediction == "v_prediction" ? Prediction::Velocity
                                                   : Prediction::Flow;
  made.timestep_spacing =
      options.choice("timestep_spacing", "linspace", {"linspace", "leading", "trailing"});
  made.steps_offset = options.number("steps_offset", 0, -1'000'000, 1'000'000);
  made.spacing = read_spacing(options);
  made.use_flow_sigmas = options.flag("use_flow_sigmas", false);
  made.flow_shift = options.number("flow_shift", 1.0, 1e-6, 1e6);
  made.use_dynamic_shifting = options.flag("use_dynamic_shifting", false);
  made.ends_at_zero = options.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  made.thresholding = options.flag("thresholding", false);
  made.dynamic_thresholding_ratio = options.number("dynamic_thresholding_ratio", 0.995, 0.0, 1.0);
  made.sample_max_value = options.number("sample_max_value", 1.0, 0.0, 1e30);
  return made;
}

NoiseLevel MultistepOptions::level(float sigma) const noexcept {
  if (use_flow_sigmas) return {1 - sigma, sigma};
  const float alpha = 1 / std::sqrt(sigma * sigma + 1);
  return {alpha, sigma * alpha};
}

Tensor clean_sample(const Context& ctx, const MultistepOptions& options, float sigma,
                    const Tensor& prediction, const Tensor& sample) {
  const NoiseLevel level = options.level(sigma);
  double of_sample = 0, of_prediction = 1;
  switch (options.prediction) {
    case Prediction::Epsilon:
      of_sample = 1 / double{level.alpha};
      of_prediction = -double{level.sigma} / level.alpha;
      break;
    case Prediction::Velocity:
      of_sample = level.alpha;
      of_prediction = -level.sigma;
      break;
    case Prediction::Flow:
      of_sample = 1;
      of_prediction = -sigma;
      break;
    case Prediction::Sample:
      break;
  }
  Tensor clean = weighted_sum(ctx, {{of_sample, &sample}, {of_prediction, &prediction}});
  if (!options.thresholding) return clean;
  return thresholded(ctx, clean, options.dynamic_thresholding_ratio, options.sample_max_value);
}

Tensor noise_in_sample(const Context& ctx, const MultistepOptions& options, float sigma,
                       const Tensor& prediction, const Tensor& sample) {
  const NoiseLevel level = options.level(sigma);
  double of_sample = 0, of_prediction = 1;
  switch (options.prediction) {
    case Prediction::Velocity:
      of_sample = level.sigma;
      of_prediction = level.alpha;
      break;
    case Prediction::Sample:
      of_sample = 1 / double{level.sigma};
      of_prediction = -double{level.alpha} / level.sigma;
      break;
    case Prediction::Flow:
      throw Error(ErrorCode::Unsupported,
                  "scheduler: wanted epsilon, sample or v_prediction for a solver of the noise, "
                  "found flow_prediction");
    case Prediction::Epsilon:
      break;
  }
  return weighted_sum(ctx, {{of_sample, &sample}, {of_prediction, &prediction}});
}

Tensor noise_of_thresholded(const Context& ctx, const MultistepOptions& options, float sigma,
                            const Tensor& noise, const Tensor& sample) {
  const NoiseLevel level = options.level(sigma);
  const double alpha = level.alpha, spread = level.sigma;
  const Tensor clean = weighted_sum(ctx, {{1 / alpha, &sample}, {-spread / alpha, &noise}});
  const Tensor cut =
      thresholded(ctx, clean, options.dynamic_thresholding_ratio, options.sample_max_value);
  return weighted_sum(ctx, {{1 / spread, &sample}, {-alpha / spread, &cut}});
}

void PredictionHistory::push(Tensor prediction) {
  kept_.push_front(std::move(prediction));
  if (kept_.size() > most_) kept_.pop_back();
}

}  // namespace annulus

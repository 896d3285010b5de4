#include "schedulers/euler_discrete.h"

#include <algorithm>
#include <cmath>

#include "schedulers/weighted_sum.h"

namespace annulus {

EulerDiscrete::EulerDiscrete(const Json& config) {
  SchedulerOptions options(config, class_name());
  noise_ = training_noise(options);
  const std::string prediction = options.choice(
      "prediction_type", "epsilon", {"epsilon", "sample", "original_sample", "v_prediction"});
  prediction_ = prediction == "epsilon"        ? Prediction::Epsilon
                : prediction == "v_prediction" ? Prediction::Velocity
                                               : Prediction::Sample;
  log_linear_ =
      options.choice("interpolation_type", "linear", {"linear", "log_linear"}) == "log_linear";
  spacing_ = read_spacing(options);
  sigma_min_ = options.find<double>("sigma_min");
  sigma_max_ = options.find<double>("sigma_max");
  timestep_spacing_ =
      options.choice("timestep_spacing", "linspace", {"linspace", "leading", "trailing"});
  continuous_ =
      options.choice("timestep_type", "discrete", {"discrete", "continuous"}) == "continuous";
  steps_offset_ = options.number("steps_offset", 0, -1'000'000, 1'000'000);
  ends_at_zero_ = options.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
  options.finish();
}

std::vector<double> EulerDiscrete::own_timesteps(int steps) const {
  const int training = noise_.timesteps();
  std::vector<double> falling;
  if (timestep_spacing_ == "linspace") {
    falling = linspace(0, training - 1, steps);
    std::reverse(falling.begin(), falling.end());
  } else if (timestep_spacing_ == "leading") {
    const int ratio = training / steps;
    for (int i = steps - 1; i >= 0; --i)
      falling.push_back(static_cast<double>(i) * ratio + steps_offset_);
  } else {
    falling = rounded_arange(training, 0, -(static_cast<double>(training) / steps));
    for (double& t : falling) t -= 1;
  }
  for (double& t : falling) t = static_cast<float>(t);
  return falling;
}

std::vector<double> EulerDiscrete::own_sigmas(const std::vector<double>& timesteps,
                                              int steps) const {
  std::vector<double> sigmas;
  if (log_linear_) {
    const std::vector<float> logs =
        linspace_f32(noise_.log_sigmas.back(), noise_.log_sigmas.front(), steps + 1);
    for (const float x : logs) sigmas.push_back(std::exp(x));
  } else {
    for (const double t : timesteps) sigmas.push_back(interpolated(t, noise_.sigmas));
  }
  return sigmas;
}

Scheduler::Levels EulerDiscrete::levels(const StepsRequest& request) const {
  require(!request.mu, ErrorCode::InvalidRequest, "scheduler: wanted no mu for ", class_name(),
          ", found ", request.mu.value_or(0));
  std::vector<double> timesteps, sigmas;
  if (request.sigmas.empty()) {
    timesteps = own_timesteps(request.steps);
    sigmas = own_sigmas(timesteps, request.steps);
  } else {
    sigmas = request.sigmas;
  }
  if (request.sigmas.empty() && spacing_ != SigmaSpacing::AsGiven)
    sigmas = spaced_sigmas(spacing_, sigma_max_.value_or(sigmas.front()),
                           sigma_min_.value_or(sigmas.back()), request.steps);
  if (!request.sigmas.empty() || spacing_ != SigmaSpacing::AsGiven) {
    timesteps.clear();
    for (const double sigma : sigmas) timesteps.push_back(timestep_of(sigma, noise_.log_sigmas));
  }
  Levels made;
  made.sigmas.assign(sigmas.begin(), sigmas.end());
  made.sigmas.push_back(ends_at_zero_ || !request.sigmas.empty() ? 0.0f : noise_.sigmas.front());
  made.timesteps.assign(timesteps.begin(), timesteps.end());
  if (continuous_ && prediction_ == Prediction::Velocity) {
    made.timesteps.clear();
    for (std::size_t i = 0; i + 1 < made.sigmas.size(); ++i)
      made.timesteps.push_back(0.25f * std::log(made.sigmas[i]));
  }
  return made;
}

double EulerDiscrete::init_noise_sigma() const noexcept {
  const double most =
      sigmas().empty() ? noise_.sigmas.back() : *std::max_element(sigmas().begin(), sigmas().end());
  return timestep_spacing_ == "leading" ? std::sqrt(most * most + 1) : most;
}

Tensor EulerDiscrete::scale_model_input(const Context& ctx, int index, const Tensor& sample) const {
  const Tensor same = Scheduler::scale_model_input(ctx, index, sample);
  const double level = sigma(static_cast<std::size_t>(index));
  return weighted_sum(ctx, {{1 / std::sqrt(level * level + 1), &same}});
}

Tensor EulerDiscrete::advance(const Context& ctx, const StepArgs& args) {
  const double now = sigma(args.index), step = sigma(args.index + 1) - now;
  switch (prediction_) {
    case Prediction::Epsilon:
      return weighted_sum(ctx, {{1, &args.sample}, {step, &args.prediction}});
    case Prediction::Velocity: {
      const double variance = now * now + 1;
      return weighted_sum(ctx, {{1 + step * now / variance, &args.sample},
                                {step / std::sqrt(variance), &args.prediction}});
    }
    default:
      return weighted_sum(ctx, {{1 + step / now, &args.sample}, {-step / now, &args.prediction}});
  }
}

}  // namespace annulus

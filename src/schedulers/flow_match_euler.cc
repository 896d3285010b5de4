#include "schedulers/flow_match_euler.h"

#include <cmath>

#include "schedulers/multistep.h"
#include "schedulers/scheduler_options.h"
#include "schedulers/weighted_sum.h"

namespace annulus {

FlowMatchEuler::FlowMatchEuler(const Json& config) {
  SchedulerOptions options(config, class_name());
  num_train_timesteps_ = options.number("num_train_timesteps", 1000, 1, 1'000'000);
  shift_ = options.number("shift", 1.0, 1e-6, 1e6);
  use_dynamic_shifting_ = options.flag("use_dynamic_shifting", false);
  linear_time_shift_ =
      options.choice("time_shift_type", "exponential", {"exponential", "linear"}) == "linear";
  invert_sigmas_ = options.flag("invert_sigmas", false);
  stochastic_sampling_ = options.flag("stochastic_sampling", false);
  shift_terminal_ = options.number("shift_terminal", 0.0, 0.0, 0.999999);
  spacing_ = read_spacing(options);
  for (const char* of_mu : {"base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"})
    options.find<double>(of_mu);  // read by pipelines: shift_mu()
  options.finish();

  const auto trained = [this](int timestep) {
    const float sigma = static_cast<float>(timestep) / static_cast<float>(num_train_timesteps_);
    return use_dynamic_shifting_ ? sigma : shifted(sigma, shift_);
  };
  sigma_max_ = trained(num_train_timesteps_);
  sigma_min_ = trained(1);
}

/// Shift, stretch and spacing, in the precision that numpy has at this point: f32 for custom
/// levels, else f64.
template <class T>
std::vector<double> FlowMatchEuler::reshaped(std::vector<T> sigmas,
                                             std::optional<double> mu) const {
  const double e = linear_time_shift_ ? mu.value_or(0) : std::exp(mu.value_or(0));
  for (T& sigma : sigmas)
    sigma = use_dynamic_shifting_ ? time_shifted(sigma, e) : shifted(sigma, shift_);
  if (shift_terminal_ != 0) stretch_to_terminal(sigmas, shift_terminal_);
  if (spacing_ != SigmaSpacing::AsGiven)
    return spaced_sigmas(spacing_, sigmas.front(), sigmas.back(), static_cast<int>(sigmas.size()));
  return {sigmas.begin(), sigmas.end()};
}

Scheduler::Levels FlowMatchEuler::levels(const StepsRequest& request) const {
  require(!use_dynamic_shifting_ || request.mu, ErrorCode::InvalidRequest,
          "scheduler: wanted mu with use_dynamic_shifting, found none");
  std::vector<double> visited;
  const float training = static_cast<float>(num_train_timesteps_);
  if (request.sigmas.empty()) {
    std::vector<double> own = linspace(double{sigma_max_} * num_train_timesteps_,
                                       double{sigma_min_} * num_train_timesteps_, request.steps);
    for (double& sigma : own) sigma /= num_train_timesteps_;
    visited = reshaped(std::move(own), request.mu);
  } else {
    visited =
        reshaped(std::vector<float>(request.sigmas.begin(), request.sigmas.end()), request.mu);
  }
  Levels made;
  for (const double level : visited) {
    const float sigma = static_cast<float>(level);
    made.sigmas.push_back(invert_sigmas_ ? 1.0f - sigma : sigma);
    made.timesteps.push_back(made.sigmas.back() * training);
  }
  made.sigmas.push_back(invert_sigmas_ ? 1.0f : 0.0f);
  return made;
}

Tensor FlowMatchEuler::advance(const Context& ctx, const StepArgs& args) {
  const double now = sigma(args.index), next = sigma(args.index + 1);
  if (!stochastic_sampling_)
    return weighted_sum(ctx, {{1, &args.sample}, {next - now, &args.prediction}});
  return weighted_sum(
      ctx, {{1 - next, &args.sample}, {-(1 - next) * now, &args.prediction}, {next, args.noise}});
}

}  // namespace annulus

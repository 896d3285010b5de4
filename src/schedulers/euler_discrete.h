#pragma once

#include "schedulers/multistep.h"
#include "schedulers/scheduler.h"

namespace annulus {

/// Euler steps of the probability flow of a model trained with noise added: x(sigma) = clean +
/// sigma noise. Source: Karras et al. arXiv 2206.00364, algorithm 2 without churn; diffusers'
/// EulerDiscreteScheduler.
class EulerDiscrete final : public Scheduler {
 public:
  /// Throws as load_scheduler.
  explicit EulerDiscrete(const Json& config);

  std::string_view class_name() const noexcept override { return "EulerDiscreteScheduler"; }
  double init_noise_sigma() const noexcept override;
  /// sample / sqrt(sigma^2 + 1).
  Tensor scale_model_input(const Context& ctx, int index, const Tensor& sample) const override;

 protected:
  Levels levels(const StepsRequest& request) const override;
  Mixture mixture(float sigma) const noexcept override { return {1, sigma}; }
  Tensor advance(const Context& ctx, const StepArgs& args) override;

 private:
  std::vector<double> own_timesteps(int steps) const;
  std::vector<double> own_sigmas(const std::vector<double>& timesteps, int steps) const;

  TrainingNoise noise_;
  Prediction prediction_ = Prediction::Epsilon;
  bool log_linear_ = false, continuous_ = false, ends_at_zero_ = true;
  std::string timestep_spacing_ = "linspace";
  int steps_offset_ = 0;
  SigmaSpacing spacing_ = SigmaSpacing::AsGiven;
  std::optional<double> sigma_min_, sigma_max_;  // ends of the spacing; nothing: the own levels'
};

}  // namespace annulus

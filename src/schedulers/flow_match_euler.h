#pragma once

#include "schedulers/scheduler.h"
#include "schedulers/sigma_math.h"

namespace annulus {

/// Euler steps along a flow: x(sigma) = (1 - sigma) clean + sigma noise, the model predicts noise -
/// clean. Source: Lipman et al. arXiv 2210.02747; Esser et al. arXiv 2403.03206 (shift); diffusers'
/// FlowMatchEulerDiscreteScheduler.
class FlowMatchEuler final : public Scheduler {
 public:
  /// Throws as load_scheduler.
  explicit FlowMatchEuler(const Json& config);

  std::string_view class_name() const noexcept override {
    return "FlowMatchEulerDiscreteScheduler";
  }
  bool needs_noise() const noexcept override { return stochastic_sampling_; }

 protected:
  Levels levels(const StepsRequest& request) const override;
  Mixture mixture(float sigma) const noexcept override { return {1 - sigma, sigma}; }
  Tensor advance(const Context& ctx, const StepArgs& args) override;

 private:
  template <class T>
  std::vector<double> reshaped(std::vector<T> sigmas, std::optional<double> mu) const;

  int num_train_timesteps_ = 1000;
  double shift_ = 1;
  bool use_dynamic_shifting_ = false, linear_time_shift_ = false;
  bool invert_sigmas_ = false, stochastic_sampling_ = false;
  double shift_terminal_ = 0;  // 0: none
  SigmaSpacing spacing_ = SigmaSpacing::AsGiven;
  float sigma_max_ = 1, sigma_min_ = 0;  // of the training timesteps, shifted
};

}  // namespace annulus

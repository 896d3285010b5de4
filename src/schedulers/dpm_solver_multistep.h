#pragma once

#include "schedulers/multistep.h"
#include "schedulers/scheduler.h"

namespace annulus {

/// DPM-Solver and DPM-Solver++ of order 1 to 3, their SDE forms included ("DPM++ 2M" is order 2 of
/// dpmsolver++). Source: Lu et al. arXiv 2206.00927 and 2211.01095; diffusers'
/// DPMSolverMultistepScheduler.
class DpmSolverMultistep final : public Scheduler {
 public:
  /// Throws as load_scheduler.
  explicit DpmSolverMultistep(const Json& config);

  std::string_view class_name() const noexcept override { return "DPMSolverMultistepScheduler"; }
  bool remembers() const noexcept override { return true; }
  bool needs_noise() const noexcept override { return stochastic_; }

 protected:
  Levels levels(const StepsRequest& request) const override;
  Mixture mixture(float sigma) const noexcept override;
  Tensor advance(const Context& ctx, const StepArgs& args) override;
  void forget() noexcept override { history_.clear(); }

 private:
  std::vector<double> own_sigmas(std::vector<double>& timesteps, const StepsRequest& request) const;
  Tensor converted(const Context& ctx, const StepArgs& args) const;
  int order_at(std::size_t index) const noexcept;

  MultistepOptions options_;
  int solver_order_ = 2;
  bool of_clean_ = true;     // integrates the clean sample (++), else the noise
  bool stochastic_ = false;  // sde
  bool heun_ = false;        // solver_type, else midpoint
  bool lower_order_final_ = true, euler_at_final_ = false, use_lu_lambdas_ = false;
  bool rounds_timesteps_ = true;
  double lambda_min_clipped_ = 0;
  PredictionHistory history_{3};
};

}  // namespace annulus

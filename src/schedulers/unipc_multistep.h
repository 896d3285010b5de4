#pragma once

#include "schedulers/multistep.h"
#include "schedulers/scheduler.h"

namespace annulus {

/// UniPC: each step is corrected once the next prediction is known. Orders 1 to 6, of the clean
/// sample or of the noise. Source: Zhao et al. arXiv 2302.04867; diffusers'
/// UniPCMultistepScheduler.
class UniPcMultistep final : public Scheduler {
 public:
  /// Throws as load_scheduler.
  explicit UniPcMultistep(const Json& config);

  std::string_view class_name() const noexcept override { return "UniPCMultistepScheduler"; }
  bool remembers() const noexcept override { return true; }

 protected:
  Levels levels(const StepsRequest& request) const override;
  Mixture mixture(float sigma) const noexcept override;
  Tensor advance(const Context& ctx, const StepArgs& args) override;
  void forget() noexcept override;

 private:
  struct Step;
  std::vector<double> flow_sigmas(const StepsRequest& request) const;
  std::vector<double> spaced(std::vector<double>& timesteps, const StepsRequest& request) const;
  Step between(std::size_t from, std::size_t to, int order) const;
  bool corrects(std::size_t index) const noexcept;
  Tensor corrected(const Context& ctx, std::size_t index, const Tensor& newest) const;
  Tensor predicted(const Context& ctx, std::size_t index, const Tensor& sample, int order) const;

  MultistepOptions options_;
  int solver_order_ = 2;
  bool of_clean_ = true;  // predict_x0
  bool bh1_ = false;      // solver_type, else bh2
  bool lower_order_final_ = true, linear_time_shift_ = false;
  std::vector<int> disable_corrector_;
  std::optional<double> sigma_min_,
      sigma_max_;              // ends of the spacing; nothing: the training noise's
  double shift_terminal_ = 0;  // 0: none

  PredictionHistory history_{1};
  Tensor last_sample_;  // undefined before the first step
  int last_order_ = 0, taken_ = 0;
};

}  // namespace annulus

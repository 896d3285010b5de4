#pragma once

#include <vector>

#include "schedulers/scheduler_options.h"

namespace annulus {

/// The noise a model was trained with: of each training timestep, rising. f32 as torch computes it.
struct TrainingNoise {
  std::vector<float> alphas_cumprod;
  std::vector<float> sigmas;      // sqrt((1 - alphas_cumprod) / alphas_cumprod)
  std::vector<float> log_sigmas;  // as numpy gives them

  int timesteps() const noexcept { return static_cast<int>(sigmas.size()); }
};

/// From num_train_timesteps, beta_start, beta_end, beta_schedule (linear, scaled_linear,
/// squaredcos_cap_v2), trained_betas and rescale_betas_zero_snr. Throws Unsupported for another
/// schedule, CorruptFile for numbers out of range.
TrainingNoise training_noise(SchedulerOptions& options);

/// Whole timesteps of `steps` steps, falling; of the multistep solvers.
///
///   spacing    linspace, leading or trailing: Lin et al. arXiv 2305.08891, table 2
///   training   num_train_timesteps
///   last       timesteps in use, at most `training`
///   offset     steps_offset, for leading
std::vector<double> multistep_timesteps(const std::string& spacing, int training, int last,
                                        int steps, int offset);

}  // namespace annulus

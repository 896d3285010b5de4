// What the two multistep solvers (UniPC, DPM-Solver) share: the noise levels of their configs, and
// the form of prediction that they integrate.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "nn/context.h"
#include "schedulers/scheduler_options.h"
#include "schedulers/sigma_math.h"
#include "schedulers/training_noise.h"

namespace annulus {

/// A noisy sample is alpha * clean + sigma * noise. In f32, as all arithmetic of these solvers on
/// levels: small differences of logarithms divide each other, so that its rounding is part of the
/// result.
struct NoiseLevel {
  float alpha = 1, sigma = 0;
  float lambda() const noexcept;  // log(alpha / sigma); infinite where sigma is 0
};

// torch's f32 functions are nearly always correctly rounded; the C library's are less often.
float log_f32(float x) noexcept;
float exp_f32(float x) noexcept;
float expm1_f32(float x) noexcept;

enum class Prediction { Epsilon, Sample, Velocity, Flow };

/// The options of the same name in diffusers, where both classes have them.
struct MultistepOptions {
  TrainingNoise noise;
  Prediction prediction = Prediction::Epsilon;
  std::string timestep_spacing = "linspace";
  int steps_offset = 0;
  SigmaSpacing spacing = SigmaSpacing::AsGiven;
  bool use_flow_sigmas = false;
  double flow_shift = 1;
  bool use_dynamic_shifting = false;
  bool ends_at_zero = true;  // final_sigmas_type
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995, sample_max_value = 1;

  static MultistepOptions read(SchedulerOptions& options);

  /// The level named sigma: of a flow (alpha = 1 - sigma), else of noise whose variance is
  /// preserved.
  NoiseLevel level(float sigma) const noexcept;
};

/// Karras, exponential or beta as use_*_sigmas say. Throws Unsupported when more than one is set.
SigmaSpacing read_spacing(SchedulerOptions& options);

/// The clean sample that a prediction stands for, thresholded where the options say so.
Tensor clean_sample(const Context& ctx, const MultistepOptions& options, float sigma,
                    const Tensor& prediction, const Tensor& sample);

/// The noise that a prediction stands for, not thresholded. Throws Unsupported for a flow.
Tensor noise_in_sample(const Context& ctx, const MultistepOptions& options, float sigma,
                       const Tensor& prediction, const Tensor& sample);

/// `noise` again, after the clean sample that belongs to it was thresholded.
Tensor noise_of_thresholded(const Context& ctx, const MultistepOptions& options, float sigma,
                            const Tensor& noise, const Tensor& sample);

/// The converted predictions of the last steps, newest first.
class PredictionHistory {
 public:
  explicit PredictionHistory(int most) noexcept : most_(static_cast<std::size_t>(most)) {}
  void push(Tensor prediction);
  void clear() noexcept { kept_.clear(); }
  int size() const noexcept { return static_cast<int>(kept_.size()); }
  const Tensor& operator[](int steps_ago) const noexcept {
    return kept_[static_cast<std::size_t>(steps_ago)];
  }

 private:
  std::size_t most_;
  std::deque<Tensor> kept_;
};

}  // namespace annulus

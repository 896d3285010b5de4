// Schedulers: which noise levels a sampling run visits, and how a model's prediction moves the
// sample from one level to the next. One class per file; each follows the class of the same name in
// diffusers to rounding. Not here: the sampling loop and guidance (pipeline/), random numbers
// (base/random). Start with load_scheduler and Scheduler.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "nn/context.h"

namespace annulus {

/// What a run asks of a scheduler.
struct StepsRequest {
  int steps = 0;                    // with `sigmas`: 0 or their number
  std::vector<double> sigmas = {};  // noise levels to visit, before shifting; empty: its own choice
  std::optional<double> mu = {};    // logarithm of a shift that depends on the picture's size
};

/// The noise levels of one run and the solver between them. A solver of several steps keeps what
/// earlier steps predicted: steps are taken in order, from any index on, and tensors handed to
/// step() must not change afterwards. Latents are f32 (the context's wide dtype); predictions may
/// be of any dtype.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  /// The name of its class in diffusers.
  virtual std::string_view class_name() const noexcept = 0;

  /// Chooses the levels of a new run and forgets the last one. Throws InvalidRequest when the
  /// scheduler cannot do that with its config.
  void set_timesteps(const StepsRequest& request);

  /// What the model is told at each step; whole numbers where the class in diffusers truncates
  /// them.
  std::span<const float> timesteps() const noexcept { return timesteps_; }
  /// Noise levels: one per step, then the level that the last step arrives at.
  std::span<const float> sigmas() const noexcept { return sigmas_; }
  int steps() const noexcept { return static_cast<int>(timesteps_.size()); }

  /// Standard deviation of the noise a run starts from.
  virtual double init_noise_sigma() const noexcept { return 1; }

  /// Does step() want fresh noise? (stochastic_sampling, SDE solvers)
  virtual bool needs_noise() const noexcept { return false; }

  /// Does a step depend on what earlier ones predicted? Such a run cannot go on from its latents
  /// alone.
  virtual bool remembers() const noexcept { return false; }

  /// The sample as the model wants to see it at step `index`; the same tensor for most classes.
  virtual Tensor scale_model_input(const Context& ctx, int index, const Tensor& sample) const;

  /// The sample one level further.
  ///
  ///   index       of the step, in [0, steps())
  ///   prediction  what the model made at timesteps()[index]
  ///   sample      [batch, ...], prediction's shape
  ///   noise       standard normal, sample's shape; null unless needs_noise()
  ///
  /// Throws InvalidRequest for an index out of order, wrong shapes or noise that is absent.
  Tensor step(const Context& ctx, int index, const Tensor& prediction, const Tensor& sample,
              const Tensor* noise = nullptr);

  /// `sample` without noise, brought to the level of step `index` (a start from a picture).
  Tensor add_noise(const Context& ctx, int index, const Tensor& sample, const Tensor& noise) const;

 protected:
  struct Levels {
    std::vector<float> timesteps, sigmas;
  };
  /// Factors of sample and noise in a noisy sample.
  struct Mixture {
    double sample = 1, noise = 0;
  };
  struct StepArgs {
    std::size_t index;
    const Tensor& prediction;
    const Tensor& sample;
    const Tensor* noise;  // not null where needs_noise()
  };

  virtual Levels levels(const StepsRequest& request) const = 0;
  virtual Mixture mixture(float sigma) const noexcept = 0;
  virtual Tensor advance(const Context& ctx, const StepArgs& args) = 0;
  virtual void forget() noexcept {}  // what earlier steps left

  float sigma(std::size_t index) const noexcept { return sigmas_[index]; }

 private:
  std::vector<float> timesteps_, sigmas_;
  std::optional<int> next_;  // the index that step() expects; nothing: any
};

/// The scheduler of a scheduler_config.json, by its `_class_name`: FlowMatchEulerDiscreteScheduler,
/// UniPCMultistepScheduler, DPMSolverMultistepScheduler or EulerDiscreteScheduler.
///
/// Throws Unsupported naming a class, option or value that is not known; CorruptFile for values of
/// the wrong kind. Options of other classes are ignored, as diffusers does.
std::unique_ptr<Scheduler> load_scheduler(const Json& config);
std::unique_ptr<Scheduler> load_scheduler(std::string_view class_name, const Json& config);

}  // namespace annulus

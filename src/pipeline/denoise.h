// The sampling loop that all families share: predict, guide, step. A family brings closures that
// call its transformer; the scheduler brings the noise levels.
#pragma once

#include <functional>
#include <vector>

#include "pipeline/guided.h"
#include "pipeline/progress.h"
#include "schedulers/scheduler.h"

namespace annulus {

/// What a model predicts for `latents` at step `index` of the scheduler: latents' shape, in the
/// wide dtype.
using Predict = std::function<Tensor(const Tensor& latents, int index)>;

struct DenoiseArgs {
  Scheduler& scheduler;  // its timesteps are set
  Predict cond;          // for the prompt
  Predict uncond = {};   // for the negative prompt; empty: no guidance
  Guidance guidance = {};
  /// Its scale at a step, where that changes between steps (two experts); empty: guidance.scale.
  std::function<float(int index)> scale_at = {};
  int preview_every = 0;  // steps; 0: never
  /// Takes an estimate of the clean latents after `steps` steps.
  std::function<void(int steps, const Tensor& clean)> preview = {};
  int checkpoint_every = 0;  // steps; 0: never
  /// Takes the latents after `steps` steps.
  std::function<void(int steps, const Tensor& latents)> checkpoint = {};
  int first_step = 0;  // steps that were taken already
};

struct Denoised {
  Tensor latents;
  std::vector<double> step_seconds;
};

/// Runs every step of the scheduler from `latents` [batch, seq, channels] (noise, in the wide
/// dtype).
///
/// Where the mesh has two cfg groups and there is guidance, each makes one of the predictions and
/// they exchange them. Latents may be this rank's rows: nothing here looks across rows but the
/// rescaling of guidance, which is per token.
///
/// Reports "denoise", step of steps, before the first step and after each; taps "timesteps",
/// "sigmas", "noise_pred.cond.stepN", "noise_pred.uncond.stepN" and "latents.stepN" (after step N).
/// Throws Cancelled between steps, NonFinite naming the step and whose prediction it was.
Denoised denoise(const Context& ctx, const DenoiseArgs& args, Tensor latents,
                 const Progress& progress);

}  // namespace annulus

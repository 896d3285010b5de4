#include "pipeline/denoise.h"

#include <chrono>

#include "nn/elementwise.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus {

namespace {

constexpr int kStepTimeoutMs = 24 * 3600 * 1000;  // a step of a large picture may take long

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool finite(const Context& ctx, const Tensor& x) {
  return required_op(ctx.ops.all_finite, "all_finite")(ctx.stream, ctx.workspace, {.x = x});
}

void tap_levels(const Context& ctx, const Scheduler& scheduler, const Tap& tap) {
  const auto told = [&](const char* name, std::span<const float> values) {
    tap(name, to_device(ctx, values, {static_cast<std::int64_t>(values.size())}, ctx.wide));
  };
  told("timesteps", scheduler.timesteps());
  told("sigmas", scheduler.sigmas());
}

/// What one step saw and made.
struct StepResult {
  Tensor cond, uncond, prediction, latents;
};

/// Both predictions where two ranks made one each: this rank's and the other's.
Tensor others_prediction(const Context& ctx, const Tensor& own) {
  Communicator& pair = ctx.mesh.cfg();
  const std::vector<std::int64_t> counts(2, own.elements());
  const Tensor flat = contiguous(ctx.stream, own).reshape({own.elements()});
  Tensor both = Tensor::empty({2 * own.elements()}, own.dtype(), ctx.device);
  pair.all_gather(ctx.stream, flat, counts, both);
  const std::int64_t begin = pair.rank() == 0 ? own.elements() : 0;
  return both.slice(0, begin, begin + own.elements()).reshape(own.shape());
}

StepResult take_step(const Context& ctx, const DenoiseArgs& args, int index,
                     const Tensor& latents) {
  StepResult made;
  const Tensor input = args.scheduler.scale_model_input(ctx, index, latents);
  const Communicator& branches = ctx.mesh.cfg();
  const bool divided = args.uncond && branches.size() == 2;
  if (!divided || branches.rank() == 0) made.cond = args.cond(input, index);
  if (args.uncond) {
    if (!divided || branches.rank() == 1) made.uncond = args.uncond(input, index);
    if (divided) {
      if (branches.rank() == 0)
        made.uncond = others_prediction(ctx, made.cond);
      else
        made.cond = others_prediction(ctx, made.uncond);
    }
    Guidance guidance = args.guidance;
    if (args.scale_at) guidance.scale = args.scale_at(index);
    made.prediction = guided(ctx, made.cond, made.uncond, guidance);
  } else {
    made.prediction = made.cond;
  }
  made.latents = args.scheduler.step(ctx, index, made.prediction, latents);
  return made;
}

/// The message looks for the first tensor that is not finite; this runs only when one is not.
[[noreturn]] void fail_not_finite(const Context& ctx, const StepResult& made, int index,
                                  int steps) {
  const char* whose = !finite(ctx, made.cond) ? "the prediction for the prompt"
                      : made.uncond.defined() && !finite(ctx, made.uncond)
                          ? "the prediction for the negative prompt"
                      : !finite(ctx, made.prediction) ? "guidance"
                                                      : "the scheduler's step";
  throw Error(ErrorCode::NonFinite, text_of("denoise: wanted finite numbers, found NaN or Inf in ",
                                            whose, " (step ", index + 1, " of ", steps, ")"));
}

}  // namespace

Denoised denoise(const Context& ctx, const DenoiseArgs& args, Tensor latents,
                 const Progress& progress) {
  const int steps = args.scheduler.steps();
  const Tap& tap = progress.tap;
  if (tap) tap_levels(ctx, args.scheduler, tap);
  Denoised run;
  // Every so many steps, but not after the last.
  const auto due = [&](int every, int done) {
    return every > 0 && done < steps && done % every == 0;
  };
  progress.at("denoise", args.first_step, steps);
  for (int index = args.first_step; index < steps; ++index) {
    const auto start = Clock::now();
    ctx.mesh.world().mark(text_of("step ", index + 1, " of ", steps));
    const StepResult made = take_step(ctx, args, index, latents);
    ctx.device.synchronize(ctx.stream, kStepTimeoutMs);
    if (!finite(ctx, made.latents)) fail_not_finite(ctx, made, index, steps);
    run.step_seconds.push_back(seconds_since(start));
    if (tap) {
      tap(text_of("noise_pred.cond.step", index), made.cond);
      if (made.uncond.defined()) tap(text_of("noise_pred.uncond.step", index), made.uncond);
      tap(text_of("latents.step", index), made.latents);
    }
    if (args.preview &&
        due(args.preview_every,
            index + 1)) {  // along a flow, what is left of the noise is sigma times the prediction
      const float sigma = args.scheduler.sigmas()[static_cast<std::size_t>(index)];
      args.preview(index + 1,
                   combine(ctx, {{1.0f, &latents}, {-sigma, &made.prediction}}, ctx.wide));
    }
    latents = made.latents;
    if (args.checkpoint && due(args.checkpoint_every, index + 1))
      args.checkpoint(index + 1, latents);
    progress.at("denoise", index + 1, steps);
  }
  run.latents = std::move(latents);
  return run;
}

}  // namespace annulus

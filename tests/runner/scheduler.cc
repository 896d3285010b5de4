#include "schedulers/scheduler.h"

#include "kinds.h"
#include "nn/context.h"
#include "schedulers/sigma_math.h"

namespace annulus::goldens {
namespace {

StepsRequest request_of(const Json& json) {
  StepsRequest request{.steps = json.get<int>("num_inference_steps"), .sigmas = {}, .mu = {}};
  if (const std::optional<Json> mu = json.find("mu")) request.mu = mu->as<double>();
  const Json sigmas = json["sigmas_arg"];
  if (!sigmas.is_string()) return request;
  const bool to_zero = sigmas.as<std::string>() == "to0";
  request.sigmas =
      to_zero ? linspace(1, 0, request.steps + 1) : linspace(1, 1.0 / request.steps, request.steps);
  if (to_zero) request.sigmas.pop_back();
  return request;
}

/// As the case stores it: whole numbers where diffusers has them.
void add_timesteps(const Json& json, std::span<const float> timesteps, Comparison& comparison) {
  const Shape shape{static_cast<std::int64_t>(timesteps.size())};
  if (json["outputs"]["timesteps"].get<std::string>("dtype") != "int64")
    return comparison.add("timesteps", timesteps, shape);
  const std::vector<std::int64_t> whole(timesteps.begin(), timesteps.end());
  comparison.add("timesteps", whole, shape);
}

}  // namespace

/// Timesteps, sigmas and the sample after each step for the model outputs that the case stores.
void run_scheduler(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Json& json = golden.json();
  const Context& ctx = bench.context();
  const std::unique_ptr<Scheduler> scheduler =
      load_scheduler(json.get<std::string>("scheduler"), json["config"]);
  scheduler->set_timesteps(request_of(json));
  add_timesteps(json, scheduler->timesteps(), comparison);
  comparison.add("sigmas", scheduler->sigmas(),
                 {static_cast<std::int64_t>(scheduler->sigmas().size())});
  if (golden.has_output("init_noise_sigma")) {
    const double sigma = scheduler->init_noise_sigma();
    comparison.add("init_noise_sigma", std::span<const double>(&sigma, 1), {1});
  }

  const Tensor predictions = golden.input("model_outputs", ctx.device);
  const Tensor noises = golden.has_input("noise") ? golden.input("noise", ctx.device) : Tensor();
  Tensor sample = golden.input("sample", ctx.device);
  for (int i = 0; i < scheduler->steps(); ++i) {
    const std::string scaled = text_of("scaled", i);
    if (golden.has_output(scaled))
      comparison.add(scaled, scheduler->scale_model_input(ctx, i, sample));
    const Tensor noise = noises.defined() ? noises.select(0, i) : Tensor();
    sample = scheduler->step(ctx, i, predictions.select(0, i), sample,
                             noise.defined() ? &noise : nullptr);
    comparison.add(text_of("step", i), sample);
  }
}

}  // namespace annulus::goldens

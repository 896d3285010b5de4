#include "schedulers/scheduler.h"

#include <array>

#include "schedulers/dpm_solver_multistep.h"
#include "schedulers/euler_discrete.h"
#include "schedulers/flow_match_euler.h"
#include "schedulers/unipc_multistep.h"
#include "schedulers/weighted_sum.h"

namespace annulus {
namespace {

constexpr int kMostSteps = 10000;

void require_index(int index, int steps) {
  require(index >= 0 && index < steps, ErrorCode::InvalidRequest,
          "scheduler: wanted a step in [0, ", steps, "), found ", index);
}

void require_same_shape(const char* what, const Tensor& x, const Tensor& sample) {
  require(x.shape() == sample.shape(), ErrorCode::InvalidRequest, "scheduler: wanted ", what,
          " of the sample's shape ", sample.shape(), ", found ", x.shape());
}

struct Entry {
  std::string_view class_name;
  std::unique_ptr<Scheduler> (*make)(const Json& config);
};

template <class T>
std::unique_ptr<Scheduler> make(const Json& config) {
  return std::make_unique<T>(config);
}

constexpr std::array<Entry, 4> kSchedulers = {{
    {"FlowMatchEulerDiscreteScheduler", make<FlowMatchEuler>},
    {"UniPCMultistepScheduler", make<UniPcMultistep>},
    {"DPMSolverMultistepScheduler", make<DpmSolverMultistep>},
    {"EulerDiscreteScheduler", make<EulerDiscrete>},
}};

}  // namespace

void Scheduler::set_timesteps(const StepsRequest& request) {
  StepsRequest whole = request;
  const int custom = static_cast<int>(std::min<std::size_t>(request.sigmas.size(), kMostSteps + 1));
  if (custom > 0) {
    require(request.steps == 0 || request.steps == custom, ErrorCode::InvalidRequest,
            "scheduler: wanted ", request.steps, " sigmas, one per step, found ", custom);
    whole.steps = custom;
  }
  require(whole.steps >= 1 && whole.steps <= kMostSteps, ErrorCode::InvalidRequest,
          "steps: wanted 1 to ", kMostSteps, ", found ", whole.steps);
  Levels made = levels(whole);
  timesteps_ = std::move(made.timesteps);
  sigmas_ = std::move(made.sigmas);
  next_.reset();
  forget();
}

Tensor Scheduler::scale_model_input(const Context&, int index, const Tensor& sample) const {
  require_index(index, steps());
  return sample;
}

Tensor Scheduler::step(const Context& ctx, int index, const Tensor& prediction,
                       const Tensor& sample, const Tensor* noise) {
  require_index(index, steps());
  require(!next_ || index == *next_, ErrorCode::InvalidRequest, "scheduler: wanted step ",
          next_.value_or(0), ", found ", index);
  require_same_shape("a prediction", prediction, sample);
  if (needs_noise()) {
    require(noise != nullptr, ErrorCode::InvalidRequest, "scheduler: ", class_name(),
            " with this config wants noise at every step, found none");
    require_same_shape("noise", *noise, sample);
  }
  Tensor further = advance(
      ctx, {static_cast<std::size_t>(index), prediction, sample, needs_noise() ? noise : nullptr});
  next_ = index + 1;
  return further;
}

Tensor Scheduler::add_noise(const Context& ctx, int index, const Tensor& sample,
                            const Tensor& noise) const {
  require_index(index, steps());
  require_same_shape("noise", noise, sample);
  const Mixture parts = mixture(sigma(static_cast<std::size_t>(index)));
  return weighted_sum(ctx, {{parts.sample, &sample}, {parts.noise, &noise}});
}

std::unique_ptr<Scheduler> load_scheduler(const Json& config) {
  return load_scheduler(config.get<std::string>("_class_name"), config);
}

std::unique_ptr<Scheduler> load_scheduler(std::string_view class_name, const Json& config) {
  std::string known;
  for (const Entry& entry : kSchedulers) {
    if (entry.class_name == class_name) return entry.make(config);
    known += (known.empty() ? "" : ", ") + std::string(entry.class_name);
  }
  throw Error(ErrorCode::Unsupported, text_of("scheduler: wanted one of ", known, ", found ",
                                              class_name, " (", config.where(), ")"));
}

}  // namespace annulus

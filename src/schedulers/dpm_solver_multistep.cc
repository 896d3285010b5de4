#include "schedulers/dpm_solver_multistep.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "schedulers/weighted_sum.h"

namespace annulus {
namespace {

constexpr int kFewSteps = 15;  // below this the last steps take a lower order

/// Factors of the sample, of the newest prediction and of its first and second differences, of
/// noise.
struct Factors {
  float sample = 0, prediction = 0, first = 0, second = 0, noise = 0;
};

/// What a step of size h = lambda(to) - lambda(from) multiplies with, in f32 and in diffusers'
/// order. Source: arXiv 2211.01095, appendix A (++) and section 5 (SDE); 2206.00927, appendix B.
struct StepFactors {
  NoiseLevel from, to;
  float h;
  bool of_clean, stochastic, heun;

  Factors operator()(int order) const noexcept {
    Factors made = of_clean ? (stochastic ? clean_sde() : clean(order)) : noise(order);
    if (order == 2 && !heun) made.first = 0.5f * made.prediction;
    return made;
  }

 private:
  Factors clean(int order) const noexcept {
    const float change = exp_f32(-h) - 1.0f;
    return {.sample = to.sigma / from.sigma,
            .prediction = -(to.alpha * change),
            .first = to.alpha * (change / h + 1.0f),
            .second = order < 3 ? 0 : -(to.alpha * ((change + h) / (h * h) - 0.5f))};
  }

  Factors clean_sde() const noexcept {
    const float change = 1.0f - exp_f32(-2.0f * h), twice = 2.0f * h;
    return {.sample = to.sigma / from.sigma * exp_f32(-h),
            .prediction = to.alpha * change,
            .first = to.alpha * (change / -twice + 1.0f),
            .second = to.alpha * ((change - twice) / (twice * twice) - 0.5f),
            .noise = to.sigma * std::sqrt(change)};
  }

  Factors noise(int order) const noexcept {
    const float change = exp_f32(h) - 1.0f, times = stochastic ? 2 : 1;
    return {.sample = to.alpha / from.alpha,
            .prediction = -times * (to.sigma * change),
            .first = -times * (to.sigma * (change / h - 1.0f)),
            .second = order < 3 ? 0 : -(to.sigma * ((change - h) / (h * h) - 0.5f)),
            .noise = stochastic ? to.sigma * std::sqrt(exp_f32(2 * h) - 1.0f) : 0};
  }
};

}  // namespace

DpmSolverMultistep::DpmSolverMultistep(const Json& config) {
  SchedulerOptions options(config, class_name());
  options_ = MultistepOptions::read(options);
  solver_order_ = options.number("solver_order", 2, 1, 3);
  const std::string algorithm =
      options.choice("algorithm_type", "dpmsolver++",
                     {"dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"});
  of_clean_ = algorithm != "dpmsolver" && algorithm != "sde-dpmsolver";
  stochastic_ = algorithm.starts_with("sde");
  heun_ = options.choice("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"}) ==
          "heun";
  lower_order_final_ = options.flag("lower_order_final", true);
  euler_at_final_ = options.flag("euler_at_final", false);
  use_lu_lambdas_ = options.flag("use_lu_lambdas", false);
  const double infinity = std::numeric_limits<double>::infinity();
  lambda_min_clipped_ = options.number("lambda_min_clipped", -infinity, -infinity, infinity);
  rounds_timesteps_ = options.get<std::string>("beta_schedule", "linear") != "squaredcos_cap_v2";
  options.choice("time_shift_type", "exponential", {"exponential"});
  options.refuse("variance_type");
  options.finish();
  if (!of_clean_ && options_.ends_at_zero)
    options.unsupported("final_sigmas_type", "zero", "sigma_min for algorithm_type " + algorithm);
  if (!of_clean_ && options_.prediction == Prediction::Flow)
    options.unsupported("prediction_type", "flow_prediction",
                        "another for algorithm_type " + algorithm);
  if (!of_clean_ && stochastic_ && solver_order_ == 3)
    options.unsupported("solver_order", "3", "1 or 2 for algorithm_type " + algorithm);
}

/// Levels of the steps, falling; `timesteps` is what the spacing chose and is replaced where levels
/// decide.
std::vector<double> DpmSolverMultistep::own_sigmas(std::vector<double>& timesteps,
                                                   const StepsRequest& request) const {
  const TrainingNoise& noise = options_.noise;
  std::vector<double> sigmas;
  if (use_lu_lambdas_ && options_.spacing != SigmaSpacing::Karras) {
    for (const double log :
         linspace(noise.log_sigmas.back(), noise.log_sigmas.front(), request.steps))
      sigmas.push_back(std::exp(log));
  } else if (options_.spacing != SigmaSpacing::AsGiven) {
    sigmas =
        spaced_sigmas(options_.spacing, noise.sigmas.back(), noise.sigmas.front(), request.steps);
  } else if (options_.use_flow_sigmas) {
    const double shift = request.mu ? std::exp(*request.mu) : options_.flow_shift;
    const std::vector<double> alphas = linspace(1, 1.0 / noise.timesteps(), request.steps + 1);
    timesteps.clear();
    for (std::size_t i = alphas.size(); i-- > 1;) {
      sigmas.push_back(shifted(1.0 - alphas[i], shift));
      timesteps.push_back(sigmas.back() * noise.timesteps());
    }
    return sigmas;
  } else {
    for (const double t : timesteps) sigmas.push_back(interpolated(t, noise.sigmas));
    return sigmas;
  }
  const bool rounds =
      rounds_timesteps_ && (use_lu_lambdas_ || options_.spacing == SigmaSpacing::Karras);
  timesteps.clear();
  for (const double sigma : sigmas) {
    const double t = timestep_of(sigma, noise.log_sigmas);
    timesteps.push_back(rounds ? std::nearbyint(t) : t);
  }
  return sigmas;
}

Scheduler::Levels DpmSolverMultistep::levels(const StepsRequest& request) const {
  require(request.sigmas.empty(), ErrorCode::InvalidRequest, "scheduler: wanted no sigmas for ",
          class_name(), ", found ", request.sigmas.size());
  require(!request.mu || options_.use_dynamic_shifting, ErrorCode::InvalidRequest,
          "scheduler: wanted no mu without use_dynamic_shifting, found ", request.mu.value_or(0));
  const TrainingNoise& noise = options_.noise;
  int last = noise.timesteps();
  for (const float signal : noise.alphas_cumprod) {
    const float lambda = std::log(std::sqrt(signal)) - std::log(std::sqrt(1.0f - signal));
    if (lambda < lambda_min_clipped_) --last;
  }
  require(last >= 1, ErrorCode::InvalidRequest,
          "scheduler: wanted timesteps above lambda_min_clipped ", lambda_min_clipped_,
          ", found none");
  std::vector<double> timesteps = multistep_timesteps(options_.timestep_spacing, noise.timesteps(),
                                                      last, request.steps, options_.steps_offset);
  const std::vector<double> sigmas = own_sigmas(timesteps, request);
  Levels made;
  for (const double t : timesteps) made.timesteps.push_back(static_cast<float>(std::trunc(t)));
  made.sigmas.assign(sigmas.begin(), sigmas.end());
  made.sigmas.push_back(options_.ends_at_zero ? 0.0f : noise.sigmas.front());
  return made;
}

Scheduler::Mixture DpmSolverMultistep::mixture(float sigma) const noexcept {
  const NoiseLevel level = options_.level(sigma);
  return {level.alpha, level.sigma};
}

int DpmSolverMultistep::order_at(std::size_t index) const noexcept {
  const int count = steps(), left = count - static_cast<int>(index);
  const bool few = lower_order_final_ && count < kFewSteps;
  if (left == 1 && (euler_at_final_ || few || options_.ends_at_zero)) return 1;
  const int most = left == 2 && few ? 2 : 3;
  return std::min({solver_order_, history_.size(), most});
}

Tensor DpmSolverMultistep::converted(const Context& ctx, const StepArgs& args) const {
  const float level = sigma(args.index);
  if (of_clean_) return clean_sample(ctx, options_, level, args.prediction, args.sample);
  Tensor noise = noise_in_sample(ctx, options_, level, args.prediction, args.sample);
  if (!options_.thresholding) return noise;
  return noise_of_thresholded(ctx, options_, level, noise, args.sample);
}

Tensor DpmSolverMultistep::advance(const Context& ctx, const StepArgs& args) {
  const std::size_t i = args.index;
  history_.push(converted(ctx, args));
  const int order = order_at(i);

  const auto lambda = [&](std::size_t at) { return options_.level(sigma(at)).lambda(); };
  const NoiseLevel from = options_.level(sigma(i)), to = options_.level(sigma(i + 1));
  const float h = to.lambda() - from.lambda();
  const Factors factors = StepFactors{from, to, h, of_clean_, stochastic_, heun_}(order);
  std::array<double, 3> of = {factors.prediction, 0, 0};  // of the predictions, newest first
  if (order >= 2) {
    const float r0 = (from.lambda() - lambda(i - 1)) / h;
    double of_newer = factors.first, of_older = 0;  // of the two differences
    float r1 = 1;
    if (order == 3) {
      r1 = (lambda(i - 1) - lambda(i - 2)) / h;
      of_older = -(of_newer * r0 + factors.second) / (r0 + r1);
      of_newer -= of_older;
    }
    of[0] += of_newer / r0;
    of[1] += of_older / r1 - of_newer / r0;
    of[2] -= of_older / r1;
  }
  std::vector<Weighted> terms = {{factors.sample, &args.sample}};
  for (int ago = 0; ago < order; ++ago)
    terms.push_back({of[static_cast<std::size_t>(ago)], &history_[ago]});
  if (args.noise != nullptr) terms.push_back({factors.noise, args.noise});
  return weighted_sum(ctx, terms);
}

}  // namespace annulus

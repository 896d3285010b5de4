#include "schedulers/unipc_multistep.h"

#include <algorithm>
#include <cmath>

#include "schedulers/weighted_sum.h"

namespace annulus {
namespace {

constexpr int kMostOrder = 6;  // weighted_sum takes two terms more

/// Solves matrix x = right in f32 by elimination with pivots, as LAPACK's getrf and getrs do. A
/// singular system gives factors that are not finite, which weighted_sum refuses.
std::vector<float> solved(std::vector<std::vector<float>> matrix, std::vector<float> right) {
  const std::size_t size = right.size();
  for (std::size_t column = 0; column < size; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < size; ++row)
      if (std::abs(matrix[row][column]) > std::abs(matrix[pivot][column])) pivot = row;
    std::swap(matrix[column], matrix[pivot]);
    std::swap(right[column], right[pivot]);
    const float inverse = 1.0f / matrix[column][column];
    for (std::size_t row = column + 1; row < size; ++row) {
      const float factor = matrix[row][column] * inverse;
      for (std::size_t k = column; k < size; ++k) matrix[row][k] -= factor * matrix[column][k];
      right[row] -= factor * right[column];
    }
  }
  for (std::size_t row = size; row-- > 0;) {
    for (std::size_t k = row + 1; k < size; ++k) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  return right;
}

}  // namespace

/// The quantities of one step that predictor and corrector share, named as in the paper; f32.
struct UniPcMultistep::Step {
  float sample = 0;      // factor of the sample
  float newest = 0;      // factor of the prediction at the step's start
  float scale = 0;       // of the weighted differences: alpha_t B(h), or sigma_t B(h)
  std::vector<float> r;  // places of earlier predictions in units of h, then 1
  std::vector<float> b;  // right side of the conditions on the weights

  /// Weights of the first `count` differences so that conditions 1 .. count hold.
  std::vector<float> weights(std::size_t count) const {
    std::vector<std::vector<float>> powers(count, std::vector<float>(count, 1.0f));
    for (std::size_t row = 1; row < count; ++row)
      for (std::size_t i = 0; i < count; ++i) powers[row][i] = powers[row - 1][i] * r[i];
    return solved(std::move(powers), {b.begin(), b.begin() + static_cast<std::ptrdiff_t>(count)});
  }
};

UniPcMultistep::UniPcMultistep(const Json& config) {
  SchedulerOptions options(config, class_name());
  options_ = MultistepOptions::read(options);
  solver_order_ = options.number("solver_order", 2, 1, kMostOrder);
  of_clean_ = options.flag("predict_x0", true);
  bh1_ =
      options.choice("solver_type", "bh2", {"bh1", "bh2", "midpoint", "heun", "logrho"}) == "bh1";
  lower_order_final_ = options.flag("lower_order_final", true);
  disable_corrector_ = options.get<std::vector<int>>("disable_corrector", {});
  linear_time_shift_ =
      options.choice("time_shift_type", "exponential", {"exponential", "linear"}) == "linear";
  sigma_min_ = options.find<double>("sigma_min");
  sigma_max_ = options.find<double>("sigma_max");
  shift_terminal_ = options.number("shift_terminal", 0.0, 0.0, 0.999999);
  options.refuse("solver_p");
  options.finish();
  if (shift_terminal_ != 0 && !options_.use_flow_sigmas)
    options.unsupported("shift_terminal", text_of(shift_terminal_), "none without use_flow_sigmas");
  if (!of_clean_ && options_.prediction == Prediction::Flow)
    options.unsupported("prediction_type", "flow_prediction", "another with predict_x0 false");
  history_ = PredictionHistory(solver_order_);
}

void UniPcMultistep::forget() noexcept {
  history_.clear();
  last_sample_ = {};
  last_order_ = taken_ = 0;
}

/// Levels of a flow, falling, shifted and kept off 1, where the solver's lambda is infinite.
std::vector<double> UniPcMultistep::flow_sigmas(const StepsRequest& request) const {
  constexpr double kOffOne = 1e-6;
  std::vector<double> sigmas = request.sigmas;
  if (sigmas.empty()) {
    sigmas = linspace(1, 1.0 / options_.noise.timesteps(), request.steps + 1);
    sigmas.pop_back();
  }
  const double mu = request.mu.value_or(0), e = linear_time_shift_ ? mu : std::exp(mu);
  for (double& sigma : sigmas)
    sigma = options_.use_dynamic_shifting ? time_shifted(sigma, e)
                                          : shifted(sigma, options_.flow_shift);
  if (shift_terminal_ != 0) stretch_to_terminal(sigmas, shift_terminal_);
  if (std::abs(sigmas.front() - 1) < kOffOne) sigmas.front() -= kOffOne;
  return sigmas;
}

/// Levels by karras, exponential or beta spacing, and the timesteps that belong to them.
std::vector<double> UniPcMultistep::spaced(std::vector<double>& timesteps,
                                           const StepsRequest& request) const {
  std::vector<float> logs = options_.noise.log_sigmas;
  double most = options_.noise.sigmas.back(), least = options_.noise.sigmas.front();
  if (!request.sigmas.empty()) {  // diffusers takes the ends of custom levels the other way round
    most = request.sigmas.back();
    least = request.sigmas.front();
    logs.clear();
    for (const double sigma : request.sigmas) logs.push_back(static_cast<float>(std::log(sigma)));
  }
  std::vector<double> sigmas = spaced_sigmas(options_.spacing, sigma_max_.value_or(most),
                                             sigma_min_.value_or(least), request.steps);
  timesteps.clear();
  for (double& sigma : sigmas) {
    if (options_.spacing == SigmaSpacing::Karras && options_.use_flow_sigmas) {
      sigma = sigma / (sigma + 1);
      timesteps.push_back(sigma * options_.noise.timesteps());
    } else {
      const double t = timestep_of(sigma, logs);
      timesteps.push_back(options_.spacing == SigmaSpacing::Karras ? std::nearbyint(t) : t);
    }
  }
  return sigmas;
}

Scheduler::Levels UniPcMultistep::levels(const StepsRequest& request) const {
  require(!options_.use_dynamic_shifting || request.mu, ErrorCode::InvalidRequest,
          "scheduler: wanted mu with use_dynamic_shifting, found none");
  require(request.sigmas.empty() || options_.use_flow_sigmas, ErrorCode::InvalidRequest,
          "scheduler: wanted no sigmas without use_flow_sigmas, found ", request.sigmas.size());
  const TrainingNoise& noise = options_.noise;
  std::vector<double> timesteps =
      multistep_timesteps(options_.timestep_spacing, noise.timesteps(), noise.timesteps(),
                          request.steps, options_.steps_offset);
  std::vector<double> sigmas;
  double last = 0;
  if (options_.spacing != SigmaSpacing::AsGiven) {
    sigmas = spaced(timesteps, request);
    last = sigmas.back();
  } else if (options_.use_flow_sigmas) {
    sigmas = flow_sigmas(request);
    timesteps.clear();
    for (const double sigma : sigmas) timesteps.push_back(sigma * noise.timesteps());
    last = sigmas.back();
  } else {
    for (const double t : timesteps) sigmas.push_back(interpolated(t, noise.sigmas));
    last = noise.sigmas.front();
  }
  Levels made;
  for (const double t : timesteps) made.timesteps.push_back(static_cast<float>(std::trunc(t)));
  made.sigmas.assign(sigmas.begin(), sigmas.end());
  made.sigmas.push_back(options_.ends_at_zero ? 0.0f : static_cast<float>(last));
  return made;
}

Scheduler::Mixture UniPcMultistep::mixture(float sigma) const noexcept {
  const NoiseLevel level = options_.level(sigma);
  return {level.alpha, level.sigma};
}

/// The step from level `from` to level `to`; earlier predictions are those before `from`.
UniPcMultistep::Step UniPcMultistep::between(std::size_t from, std::size_t to, int order) const {
  const NoiseLevel start = options_.level(sigma(from)), end = options_.level(sigma(to));
  const float h = end.lambda() - start.lambda(), hh = of_clean_ ? -h : h;
  const float phi1 = expm1_f32(hh), bh = bh1_ ? hh : phi1;
  const float outer = of_clean_ ? end.alpha : end.sigma;
  Step step;
  step.sample = of_clean_ ? end.sigma / start.sigma : end.alpha / start.alpha;
  step.newest = -(outer * phi1);
  step.scale = outer * bh;
  for (int ago = 1; ago < order; ++ago) {
    const float lambda = options_.level(sigma(from - static_cast<std::size_t>(ago))).lambda();
    step.r.push_back((lambda - start.lambda()) / h);
  }
  step.r.push_back(1);
  float phi = phi1 / hh - 1;
  int factorial = 1;
  for (int i = 1; i <= order; ++i) {
    step.b.push_back(phi * static_cast<float>(factorial) / bh);
    factorial *= i + 1;
    phi = phi / hh - static_cast<float>(1.0 / factorial);
  }
  return step;
}

Tensor UniPcMultistep::predicted(const Context& ctx, std::size_t index, const Tensor& sample,
                                 int order) const {
  const Step step = between(index, index + 1, order);
  double newest = step.newest;
  std::vector<Weighted> terms = {{step.sample, &sample}, {0, &history_[0]}};
  if (order > 1) {
    const std::size_t earlier = static_cast<std::size_t>(order) - 1;
    const std::vector<float> rho = order == 2 ? std::vector<float>{0.5f} : step.weights(earlier);
    for (std::size_t i = 0; i < earlier; ++i) {
      const double factor = -double{step.scale} * rho[i] / step.r[i];
      terms.push_back({factor, &history_[static_cast<int>(i) + 1]});
      newest -= factor;
    }
  }
  terms[1].factor = newest;
  return weighted_sum(ctx, terms);
}

/// The sample of step `index` again, from the one before, now that `newest` is predicted there.
Tensor UniPcMultistep::corrected(const Context& ctx, std::size_t index,
                                 const Tensor& newest) const {
  const Step step = between(index - 1, index, last_order_);
  const std::size_t order = static_cast<std::size_t>(last_order_);
  const std::vector<float> rho = order == 1 ? std::vector<float>{0.5f} : step.weights(order);
  const double of_newest = -double{step.scale} * rho.back();
  double of_start = step.newest - of_newest;
  std::vector<Weighted> terms = {
      {step.sample, &last_sample_}, {0, &history_[0]}, {of_newest, &newest}};
  for (std::size_t i = 0; i + 1 < order; ++i) {
    const double factor = -double{step.scale} * rho[i] / step.r[i];
    terms.push_back({factor, &history_[static_cast<int>(i) + 1]});
    of_start -= factor;
  }
  terms[1].factor = of_start;
  return weighted_sum(ctx, terms);
}

bool UniPcMultistep::corrects(std::size_t index) const noexcept {
  return index > 0 && last_sample_.defined() &&
         std::find(disable_corrector_.begin(), disable_corrector_.end(),
                   static_cast<int>(index) - 1) == disable_corrector_.end();
}

Tensor UniPcMultistep::advance(const Context& ctx, const StepArgs& args) {
  const auto converted = of_clean_ ? clean_sample : noise_in_sample;
  const Tensor newest = converted(ctx, options_, sigma(args.index), args.prediction, args.sample);
  const Tensor sample = corrects(args.index) ? corrected(ctx, args.index, newest) : args.sample;
  history_.push(newest);
  const int left = steps() - static_cast<int>(args.index);
  const int wanted = lower_order_final_ ? std::min(solver_order_, left) : solver_order_;
  const int order = std::min(wanted, taken_ + 1);
  Tensor further = predicted(ctx, args.index, sample, order);
  last_sample_ = sample;
  last_order_ = order;
  taken_ = std::min(taken_ + 1, solver_order_);
  return further;
}

}  // namespace annulus

#include "schedulers/scheduler_options.h"

#include <algorithm>
#include <array>

namespace annulus {
namespace {

/// Options that scheduler classes of diffusers 0.42 have, sorted. A config may carry those of
/// another class than its own (the class was exchanged); what is not here came later and might
/// change the result.
constexpr std::array<std::string_view, 68> kKnownAnywhere = {"algorithm_type",
                                                             "base_image_seq_len",
                                                             "base_shift",
                                                             "beta_end",
                                                             "beta_max",
                                                             "beta_min",
                                                             "beta_schedule",
                                                             "beta_start",
                                                             "clip_denoised",
                                                             "clip_sample",
                                                             "clip_sample_range",
                                                             "corrector_order",
                                                             "disable_corrector",
                                                             "dynamic_thresholding_ratio",
                                                             "eta",
                                                             "euler_at_final",
                                                             "final_sigmas_type",
                                                             "flow_shift",
                                                             "gamma",
                                                             "interpolation_type",
                                                             "invert_sigmas",
                                                             "lambda_min_clipped",
                                                             "lower_order_final",
                                                             "max_image_seq_len",
                                                             "max_shift",
                                                             "noise_mode",
                                                             "num_train_timesteps",
                                                             "original_inference_steps",
                                                             "predict_x0",
                                                             "prediction_type",
                                                             "predictor_order",
                                                             "rescale_betas_zero_snr",
                                                             "rho",
                                                             "s_churn",
                                                             "s_max",
                                                             "s_min",
                                                             "s_noise",
                                                             "sample_max_value",
                                                             "sampling_eps",
                                                             "set_alpha_to_one",
                                                             "shift",
                                                             "shift_terminal",
                                                             "sigma_data",
                                                             "sigma_max",
                                                             "sigma_min",
                                                             "sigma_schedule",
                                                             "skip_prk_steps",
                                                             "snr",
                                                             "snr_shift_scale",
                                                             "solver_order",
                                                             "solver_p",
                                                             "solver_type",
                                                             "steps_offset",
                                                             "stochastic_sampling",
                                                             "tau_func",
                                                             "thresholding",
                                                             "time_shift_type",
                                                             "timestep_scaling",
                                                             "timestep_spacing",
                                                             "timestep_type",
                                                             "trained_betas",
                                                             "use_beta_sigmas",
                                                             "use_dynamic_shifting",
                                                             "use_exponential_sigmas",
                                                             "use_flow_sigmas",
                                                             "use_karras_sigmas",
                                                             "use_lu_lambdas",
                                                             "variance_type"};
static_assert(std::is_sorted(kKnownAnywhere.begin(), kKnownAnywhere.end()));

bool known_anywhere(std::string_view key) {
  return std::binary_search(kKnownAnywhere.begin(), kKnownAnywhere.end(), key);
}

}  // namespace

SchedulerOptions::SchedulerOptions(const Json& config, std::string_view class_name)
    : config_(config), class_name_(class_name) {
  if (!config.is_object()) config.fail("an object with the options of " + class_name_);
}

bool SchedulerOptions::flag(std::string_view key, bool fallback) {
  read_.emplace(key);
  if (config_.has(key) && config_[key].is_null()) return false;
  return config_.get<bool>(key, fallback);
}

std::string SchedulerOptions::choice(std::string_view key, std::string_view fallback,
                                     std::initializer_list<std::string_view> known) {
  std::string value = get<std::string>(key, std::string(fallback));
  if (std::find(known.begin(), known.end(), value) != known.end()) return value;
  std::string wanted = "one of";
  for (const std::string_view name : known) wanted += " " + std::string(name);
  unsupported(key, value, wanted);
}

void SchedulerOptions::refuse(std::string_view key) {
  read_.emplace(key);
  const std::optional<Json> value = config_.find(key);
  if (!value || (value->is_bool() && !value->as<bool>()) ||
      (value->is_array() && value->size() == 0))
    return;
  unsupported(key, value->dump(), "none");
}

void SchedulerOptions::unsupported(std::string_view key, std::string_view found,
                                   std::string_view wanted) const {
  throw Error(ErrorCode::Unsupported,
              text_of("scheduler ", class_name_, ": ", key, ": wanted ", wanted, ", found ", found,
                      " (", config_.where(), ")"));
}

void SchedulerOptions::finish() const {
  for (const auto& [key, value] : config_.members()) {
    if (key.starts_with("_") || read_.find(key) != read_.end() || known_anywhere(key)) continue;
    unsupported(key, value.dump(), "an option of diffusers 0.42");
  }
}

}  // namespace annulus

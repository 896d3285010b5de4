#include "schedulers/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/test_context.h"
#include "nn/transfer.h"

// Every case of tests/goldens/schedulers is compared by annulus-goldens; here are laws and
// refusals.
namespace annulus {
namespace {

Json config_of(const std::string& text) {
  return Json::parse(text, "a test's config", ErrorCode::CorruptFile);
}

std::unique_ptr<Scheduler> scheduler_of(const std::string& class_name, const std::string& options) {
  return load_scheduler(class_name, config_of(options));
}

std::string refusal_of(const std::string& class_name, const std::string& options) {
  try {
    scheduler_of(class_name, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported) << error.what();
    return error.what();
  }
  return "not refused";
}

constexpr const char* kFlowMatch = "FlowMatchEulerDiscreteScheduler";
constexpr const char* kUniPc = "UniPCMultistepScheduler";
constexpr const char* kDpm = "DPMSolverMultistepScheduler";
constexpr const char* kEuler = "EulerDiscreteScheduler";

class SchedulerTest : public ::testing::Test {
 protected:
  Context ctx() { return context_.context(); }
  Tensor tensor(const std::vector<double>& values) {
    return to_device(ctx(), values, {1, static_cast<std::int64_t>(values.size())}, DType::F32);
  }
  std::vector<float> values(const Tensor& x) { return to_host(ctx(), x); }

  const std::vector<double> clean_ = {0.5, -1.25, 2, 0, 0.125};
  const std::vector<double> noise_ = {-0.75, 1.5, 0.25, 1, -2};

 private:
  TestContext context_;
};

/// A model that knows the clean sample: it predicts what the sample's noise stands for.
enum class Oracle { Flow, Epsilon };

struct Case {
  const char* class_name;
  const char* options;
  Oracle oracle;
};

class PerfectModel : public SchedulerTest, public ::testing::WithParamInterface<Case> {};

TEST_P(PerfectModel, LeadsToTheCleanSampleInAnyNumberOfSteps) {
  for (const int steps : {1, 2, 3, 7, 20}) {
    const std::unique_ptr<Scheduler> scheduler =
        scheduler_of(GetParam().class_name, GetParam().options);
    scheduler->set_timesteps({.steps = steps, .sigmas = {}, .mu = {}});
    const Tensor clean = tensor(clean_), noise = tensor(noise_);
    Tensor sample = scheduler->add_noise(ctx(), 0, clean, noise);
    std::vector<double> prediction = noise_;
    if (GetParam().oracle == Oracle::Flow)
      for (std::size_t i = 0; i < prediction.size(); ++i) prediction[i] -= clean_[i];
    for (int i = 0; i < steps; ++i) sample = scheduler->step(ctx(), i, tensor(prediction), sample);
    const std::vector<float> got = values(sample);
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], clean_[i], 1e-4) << steps << " steps, element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schedulers, PerfectModel,
    ::testing::Values(
        Case{kFlowMatch, R"({})", Oracle::Flow}, Case{kFlowMatch, R"({"shift": 3})", Oracle::Flow},
        Case{kFlowMatch, R"({"use_beta_sigmas": true})", Oracle::Flow},
        Case{kUniPc, R"({"prediction_type": "flow_prediction", "use_flow_sigmas": true})",
             Oracle::Flow},
        Case{
            kUniPc,
            R"({"prediction_type": "flow_prediction", "use_flow_sigmas": true, "solver_order": 3})",
            Oracle::Flow},
        Case{kUniPc, R"({})", Oracle::Epsilon},
        Case{kDpm, R"({"prediction_type": "flow_prediction", "use_flow_sigmas": true})",
             Oracle::Flow},
        Case{kDpm, R"({"solver_order": 3})", Oracle::Epsilon},
        Case{kDpm, R"({"solver_type": "heun"})", Oracle::Epsilon},
        Case{kEuler, R"({})", Oracle::Epsilon},
        Case{kEuler, R"({"use_karras_sigmas": true})", Oracle::Epsilon}));

TEST_F(SchedulerTest, LevelsFallFromStepToStep) {
  for (const char* class_name : {kFlowMatch, kUniPc, kDpm, kEuler}) {
    for (const char* spacing : {"karras", "exponential", "beta"}) {
      const auto scheduler =
          scheduler_of(class_name, text_of("{\"use_", spacing, "_sigmas\": true}"));
      scheduler->set_timesteps({.steps = 9, .sigmas = {}, .mu = {}});
      ASSERT_EQ(scheduler->sigmas().size(), 10u);
      for (std::size_t i = 1; i < 10; ++i)
        EXPECT_LT(scheduler->sigmas()[i], scheduler->sigmas()[i - 1]) << class_name << spacing;
    }
  }
}

TEST_F(SchedulerTest, ANewRunForgetsTheLast) {
  const auto scheduler = scheduler_of(kUniPc, R"({"solver_order": 3})");
  std::vector<std::vector<float>> runs;
  for (int run = 0; run < 2; ++run) {
    scheduler->set_timesteps({.steps = 4, .sigmas = {}, .mu = {}});
    Tensor sample = tensor(noise_);
    for (int i = 0; i < 4; ++i) sample = scheduler->step(ctx(), i, tensor(clean_), sample);
    runs.push_back(values(sample));
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST_F(SchedulerTest, SixteenBitPredictionsAreWidened) {
  const auto scheduler = scheduler_of(kFlowMatch, R"({"shift": 2})");
  const Tensor rounded = to_device(ctx(), clean_, {1, 5}, DType::BF16);  // exact in bf16
  scheduler->set_timesteps({.steps = 2, .sigmas = {}, .mu = {}});
  const std::vector<float> from_bf16 = values(scheduler->step(ctx(), 0, rounded, tensor(noise_)));
  scheduler->set_timesteps({.steps = 2, .sigmas = {}, .mu = {}});
  EXPECT_EQ(from_bf16, values(scheduler->step(ctx(), 0, tensor(clean_), tensor(noise_))));
}

TEST_F(SchedulerTest, StochasticSamplingMixesTheCleanSampleWithFreshNoise) {
  const auto scheduler = scheduler_of(kFlowMatch, R"({"stochastic_sampling": true})");
  scheduler->set_timesteps({.steps = 2, .sigmas = {}, .mu = {}});
  ASSERT_TRUE(scheduler->needs_noise());
  const Tensor sample = tensor(clean_), still = tensor({0, 0, 0, 0, 0}), fresh = tensor(noise_);
  EXPECT_THROW(scheduler->step(ctx(), 0, still, sample), Error);
  const std::vector<float> got = values(scheduler->step(ctx(), 0, still, sample, &fresh));
  const double next = scheduler->sigmas()[1];
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], (1 - next) * clean_[i] + next * noise_[i], 1e-6);
}

TEST_F(SchedulerTest, ThresholdingCutsToTheQuantile) {
  const auto scheduler = scheduler_of(
      kDpm, R"({"prediction_type": "sample", "thresholding": true, "sample_max_value": 2,
                "dynamic_thresholding_ratio": 0.5})");
  scheduler->set_timesteps({.steps = 1, .sigmas = {}, .mu = {}});
  // |x| sorted: 0 0.5 1.5 3 9; the median 1.5 is the cut, and one step goes to the clean sample
  const std::vector<float> got =
      values(scheduler->step(ctx(), 0, tensor({9, -0.5, 1.5, -3, 0}), tensor({0, 0, 0, 0, 0})));
  const std::vector<double> want = {1, -0.5 / 1.5, 1, -1, 0};
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-6) << i;
}

TEST_F(SchedulerTest, StepsAreTakenInOrderWithTensorsOfOneShape) {
  const auto scheduler = scheduler_of(kEuler, "{}");
  scheduler->set_timesteps({.steps = 3, .sigmas = {}, .mu = {}});
  const Tensor sample = tensor(clean_), shorter = tensor({1, 2});
  EXPECT_THROW(scheduler->step(ctx(), 3, sample, sample), Error);
  EXPECT_THROW(scheduler->step(ctx(), -1, sample, sample), Error);
  EXPECT_THROW(scheduler->step(ctx(), 0, shorter, sample), Error);
  scheduler->step(ctx(), 1, sample, sample);  // a run may start anywhere
  EXPECT_THROW(scheduler->step(ctx(), 1, sample, sample), Error);
  scheduler->step(ctx(), 2, sample, sample);
}

TEST_F(SchedulerTest, AStepThatTheLevelsDoNotAllowIsAnErrorNotNaN) {
  const auto scheduler =
      scheduler_of(kUniPc, R"({"predict_x0": false, "solver_order": 1})");  // ends at level 0
  scheduler->set_timesteps({.steps = 1, .sigmas = {}, .mu = {}});
  try {
    scheduler->step(ctx(), 0, tensor(clean_), tensor(noise_));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::NonFinite);
  }
}

TEST_F(SchedulerTest, RequestsThatTheConfigCannotServeAreRefused) {
  const auto dynamic = scheduler_of(kFlowMatch, R"({"use_dynamic_shifting": true})");
  EXPECT_THROW(dynamic->set_timesteps({.steps = 2, .sigmas = {}, .mu = {}}), Error);
  dynamic->set_timesteps({.steps = 2, .sigmas = {}, .mu = 0.5});
  EXPECT_THROW(dynamic->set_timesteps({.steps = 3, .sigmas = {1, 0.5}, .mu = 0.5}), Error);
  EXPECT_THROW(dynamic->set_timesteps({.steps = 0, .sigmas = {}, .mu = 0.5}), Error);
  const auto terminal = scheduler_of(kFlowMatch, R"({"shift_terminal": 0.02})");
  EXPECT_THROW(terminal->set_timesteps({.steps = 1, .sigmas = {}, .mu = {}}), Error);
  const auto dpm = scheduler_of(kDpm, "{}");
  EXPECT_THROW(dpm->set_timesteps({.steps = 2, .sigmas = {1, 0.5}, .mu = {}}), Error);
  EXPECT_THROW(dpm->set_timesteps({.steps = 2, .sigmas = {}, .mu = 0.5}), Error);
}

TEST(LoadScheduler, UnknownClassesOptionsAndValuesAreRefusedByName) {
  EXPECT_NE(refusal_of("DDIMScheduler", "{}").find("DDIMScheduler"), std::string::npos);
  EXPECT_NE(refusal_of(kFlowMatch, R"({"new_shift": 2})").find("new_shift"), std::string::npos);
  EXPECT_NE(refusal_of(kFlowMatch, R"({"time_shift_type": "cubic"})").find("cubic"),
            std::string::npos);
  EXPECT_NE(refusal_of(kUniPc, R"({"solver_p": {"a": 1}})").find("solver_p"), std::string::npos);
  EXPECT_NE(refusal_of(kDpm, R"({"variance_type": "learned"})").find("variance_type"),
            std::string::npos);
  EXPECT_NE(refusal_of(kEuler, R"({"use_karras_sigmas": true, "use_beta_sigmas": true})")
                .find("use_beta_sigmas"),
            std::string::npos);
}

TEST(LoadScheduler, NullsAndOptionsOfOtherClassesAreTakenAsDiffusersDoes) {
  const auto scheduler = load_scheduler(config_of(R"({
    "_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.36.0", "solver_p": null,
    "trained_betas": null, "disable_corrector": [], "skip_prk_steps": true, "clip_sample": false,
    "use_karras_sigmas": null, "sigma_max": null})"));
  EXPECT_EQ(scheduler->class_name(), "UniPCMultistepScheduler");
}

TEST(LoadScheduler, NumbersOutOfRangeAreDamageOfTheFile) {
  for (const char* options :
       {R"({"num_train_timesteps": 0})", R"({"num_train_timesteps": 99999999})", R"({"shift": -1})",
        R"({"shift": "three"})", R"({"shift_terminal": 1})"}) {
    try {
      scheduler_of(kFlowMatch, options);
      ADD_FAILURE() << options;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::CorruptFile) << options;
    }
  }
}

}  // namespace
}  // namespace annulus

#include "pipeline/denoise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/elementwise.h"
#include "nn/test_context.h"
#include "pipeline/initial_noise.h"

namespace annulus {
namespace {

constexpr double kRounding = 1e-5;

std::unique_ptr<Scheduler> euler(int steps) {
  auto scheduler = load_scheduler(
      Json::parse(R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})", "a test",
                  ErrorCode::CorruptFile));
  scheduler->set_timesteps({.steps = steps});
  return scheduler;
}

/// A run from `noise` towards `clean` by a model that knows the way.
struct StraightRun {
  TestContext test;
  Context ctx = test.context();
  Tensor noise = test.random({2, 3, 4}), clean = test.random({2, 3, 4});
  std::unique_ptr<Scheduler> scheduler = euler(5);

  DenoiseArgs args() {
    return {.scheduler = *scheduler, .cond = [this](const Tensor&, int) {
              return combine(ctx, {{1.0f, &noise}, {-1.0f, &clean}}, ctx.wide);
            }};
  }
};

TEST(Denoise, EulerStepsAlongAStraightFlowArriveAtItsEnd) {
  StraightRun run;
  const Denoised made = denoise(run.ctx, run.args(), run.noise, {});
  EXPECT_LT(largest_difference(to_host(run.ctx, made.latents), to_host(run.ctx, run.clean)),
            kRounding);
  EXPECT_EQ(made.step_seconds.size(), 5u);
}

TEST(Denoise, PreviewsOfAStraightFlowShowItsEndAndNotTheLastStep) {
  StraightRun run;
  DenoiseArgs args = run.args();
  std::vector<int> seen;
  args.preview_every = 2;
  args.preview = [&](int steps, const Tensor& clean) {
    seen.push_back(steps);
    EXPECT_LT(largest_difference(to_host(run.ctx, clean), to_host(run.ctx, run.clean)), kRounding);
  };
  denoise(run.ctx, args, run.noise, {});
  EXPECT_EQ(seen, (std::vector<int>{2, 4}));
}

TEST(Denoise, TellsEveryStepByNameAndNumber) {
  StraightRun run;
  DenoiseArgs args = run.args();
  args.uncond = args.cond;
  std::vector<std::string> names;
  std::vector<int> done;
  denoise(run.ctx, args, run.noise,
          {.report =
               [&](std::string_view stage, int n, int total) {
                 EXPECT_EQ(stage, "denoise");
                 EXPECT_EQ(total, 5);
                 done.push_back(n);
               },
           .tap = [&](std::string_view name, const Tensor&) { names.emplace_back(name); }});
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  ASSERT_EQ(names.size(), 2u + 3u * 5u);
  EXPECT_EQ(names[0], "timesteps");
  EXPECT_EQ(names[1], "sigmas");
  EXPECT_EQ(names[5], "noise_pred.cond.step1");
  EXPECT_EQ(names[6], "noise_pred.uncond.step1");
  EXPECT_EQ(names[7], "latents.step1");
}

TEST(Denoise, StopsAfterTheStepInWhichItIsAskedTo) {
  StraightRun run;
  DenoiseArgs args = run.args();
  int predictions = 0;
  const Predict model = args.cond;
  args.cond = [&](const Tensor& latents, int index) {
    ++predictions;
    return model(latents, index);
  };
  try {
    denoise(run.ctx, args, run.noise, {.cancelled = [&] { return predictions == 2; }});
    FAIL() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
  EXPECT_EQ(predictions, 2);
}

TEST(Denoise, NamesTheStepAndTheBranchThatIsNotANumber) {
  StraightRun run;
  DenoiseArgs args = run.args();
  args.uncond = [&](const Tensor&, int index) {
    std::vector<double> values(24, 1.0);
    if (index == 3) values[7] = std::nan("");
    return to_device(run.ctx, values, {2, 3, 4}, run.ctx.wide);
  };
  args.guidance = {.scale = 2, .rescale = true};
  try {
    denoise(run.ctx, args, run.noise, {});
    FAIL() << "went on with NaN";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::NonFinite);
    EXPECT_NE(std::string(error.what()).find("negative prompt (step 4 of 5)"), std::string::npos)
        << error.what();
  }
}

TEST(Guided, FollowsItsFormulaAndKeepsTheNormOfThePromptsPrediction) {
  TestContext test;
  const Context ctx = test.context();
  const Tensor cond = test.random({2, 3, 5}), uncond = test.random({2, 3, 5});
  const std::vector<float> c = to_host(ctx, cond), u = to_host(ctx, uncond);
  const std::vector<float> plain = to_host(ctx, guided(ctx, cond, uncond, {.scale = 2.5f}));
  const std::vector<float> kept =
      to_host(ctx, guided(ctx, cond, uncond, {.scale = 2.5f, .rescale = true}));
  for (std::size_t row = 0; row < 6; ++row) {
    double of_cond = 0, of_guided = 0;
    for (std::size_t i = row * 5; i < row * 5 + 5; ++i) {
      const double g = u[i] + 2.5 * (double{c[i]} - double{u[i]});
      EXPECT_NEAR(plain[i], g, kRounding);
      of_cond += double{c[i]} * double{c[i]};
      of_guided += g * g;
    }
    const double factor = std::sqrt(of_cond / of_guided);
    for (std::size_t i = row * 5; i < row * 5 + 5; ++i)
      EXPECT_NEAR(kept[i], factor * double{plain[i]}, kRounding);
  }
  EXPECT_THROW(guided(ctx, cond, test.random({2, 3, 4}), {}), Error);
}

TEST(InitialNoise, OfSeveralSeedsIsThatOfEachSeed) {
  TestContext test;
  const Context ctx = test.context();
  const std::vector<std::uint64_t> seeds = {7, 7000000000, 7};
  const Shape shape = {1, 4, 2, 3};
  const std::vector<float> all = to_host(ctx, initial_noise(ctx, seeds, shape));
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const std::vector<float> one =
        to_host(ctx, initial_noise(ctx, std::span(seeds).subspan(i, 1), shape));
    EXPECT_EQ(one, std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(24 * i),
                                      all.begin() + static_cast<std::ptrdiff_t>(24 * i + 24)));
  }
  EXPECT_NE(all.front(), all[24]);
}

}  // namespace
}  // namespace annulus

// The model of demo/ against what diffusers made with it (demo/reference).
#include <gtest/gtest.h>

#include "io/image.h"
#include "io/safetensors.h"
#include "models/qwen_image/pipeline.h"
#include "models/qwen_image/test_transformer.h"

namespace annulus::qwen_image {
namespace {

// What two correct implementations in f32 differ by: latents near 4 after up to 20 steps, and a
// byte here and there.
constexpr double kLatents = 2e-3, kMeanOfBytes = 0.05;

struct Storybook {
  Storybook() {
    const Json settings = Json::read(kStorybook / "annulus.json", ErrorCode::CorruptFile);
    pipeline = load_pipeline(
        Checkpoint::open(kStorybook),
        {.ctx = test.context(), .attention = test.attention(), .defaults = settings["defaults"]});
  }

  Request request(const Json& run) const {
    Request made;
    made.prompts = {run.get<std::string>("prompt")};
    made.negative_prompts = {run.get<std::string>("negative_prompt")};
    made.width = run.get<std::int64_t>("width");
    made.height = run.get<std::int64_t>("height");
    made.steps = run.get<int>("steps");
    made.true_cfg_scale = run.get<float>("true_cfg_scale");
    made.seeds = {run.get<std::uint64_t>("seed")};
    return made;
  }

  TestContext test{"cpu"};
  std::unique_ptr<Pipeline> pipeline;
};

double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height) return 255;
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

TEST(Storybook, SeedsGiveTheLatentsAndPicturesOfDiffusers) {
  Storybook it;
  const std::filesystem::path folder = kRepository / "demo" / "reference";
  const Context ctx = it.test.context();
  const Json index = Json::read(folder / "index.json", ErrorCode::CorruptFile);
  for (const Json& run : index["runs"].elements()) {
    const auto name = run.get<std::string>("file");
    const SafetensorsFile stored = SafetensorsFile::open(folder / name);
    const Tensor latents = stored.tensor("latents", ctx.device);  // [steps, rows, channels]
    double largest = 0;
    int steps = 0;
    const Result result = it.pipeline->generate(
        it.pipeline->complete(it.request(run)), {.tap = [&](std::string_view tap, const Tensor& x) {
          if (!tap.starts_with("latents.step")) return;
          const std::vector<float> want = to_host(ctx, latents.slice(0, steps, steps + 1));
          largest = std::max(largest, largest_difference(to_host(ctx, x), want));
          ++steps;
        }});
    EXPECT_EQ(steps, latents.shape()[0]) << name;
    EXPECT_LT(largest, kLatents) << name;
    EXPECT_LE(
        mean_difference(result.images.at(0), read_image(folder / run.get<std::string>("image"))),
        kMeanOfBytes)
        << name;
  }
}

TEST(Storybook, ABatchGivesThePicturesOfItsPromptsOneByOne) {
  Storybook it;
  Request both;
  both.prompts = {"a small red boat on the sea at sunset", "a tree"};
  both.negative_prompts = {" ", "a blue house at night"};
  both.seeds = {3, 11};
  both.width = 64;
  both.height = 96;
  both.steps = 3;
  const Result of_both = it.pipeline->generate(it.pipeline->complete(both), {});
  ASSERT_EQ(of_both.images.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    Request one = both;
    one.prompts = {both.prompts[i]};
    one.negative_prompts = {both.negative_prompts[i]};
    one.seeds = {both.seeds[i]};
    const Result alone = it.pipeline->generate(it.pipeline->complete(one), {});
    EXPECT_LE(mean_difference(of_both.images[i], alone.images.at(0)), kMeanOfBytes) << i;
    EXPECT_EQ(of_both.images[i].width, 64);
    EXPECT_EQ(of_both.images[i].height, 96);
  }
}

TEST(Storybook, FinalLatentsAndCostsComeBack) {
  Storybook it;
  const Result result = it.pipeline->generate(
      it.pipeline->complete({.prompts = {"a cat"}, .width = 32, .height = 48, .steps = 2}), {});
  EXPECT_EQ(result.latents.shape(), Shape({1, 6, 64}));
  EXPECT_EQ(result.latents.dtype(), DType::F32);
  EXPECT_EQ(result.costs.step_seconds.size(), 2u);
  EXPECT_GT(result.costs.encode_flop, 0);
  EXPECT_GT(result.costs.denoise_flop, result.costs.encode_flop);
  EXPECT_GT(result.costs.decode_flop, 0);
}

TEST(Storybook, PreviewsArePicturesAndComeWhenAskedFor) {
  Storybook it;
  Request request = {.prompts = {"a cat", "a car"}, .width = 48, .height = 32, .steps = 4};
  request.preview_every = 2;
  std::vector<std::pair<int, int>> seen;
  it.pipeline->generate(it.pipeline->complete(request),
                        {.preview = [&](int index, int step, const Image& image) {
                          seen.emplace_back(index, step);
                          EXPECT_EQ(image.width, 48);
                          EXPECT_EQ(image.height, 32);
                        }});
  EXPECT_EQ(seen, (std::vector<std::pair<int, int>>{{0, 2}, {1, 2}}));
}

TEST(Storybook, TakesItsDefaultsFromTheFolder) {
  Storybook it;
  const Request made = it.pipeline->complete({.prompts = {"a cat", "a car"}, .seeds = {41}});
  EXPECT_EQ(made.width, 128);
  EXPECT_EQ(made.height, 128);
  EXPECT_EQ(made.steps, 20);
  EXPECT_EQ(made.true_cfg_scale, 3.0f);
  EXPECT_EQ(made.negative_prompts, (std::vector<std::string>{" ", " "}));
  EXPECT_EQ(made.seeds, (std::vector<std::uint64_t>{41, 42}));
  const Request again = it.pipeline->complete(made);
  EXPECT_EQ(again.negative_prompts, made.negative_prompts);
  EXPECT_EQ(again.seeds, made.seeds);
}

TEST(Storybook, PredictedMemoryIsWhatARunTakes) {
  for (const std::int64_t side : {128, 256}) {  // below, scratch memory of kernels shows
    Storybook it;
    const Request request = it.pipeline->complete(
        {.prompts = {"a cat", "a red house"}, .width = side, .height = side, .steps = 2});
    const MemoryPrediction predicted = it.pipeline->predict_memory(request);
    it.pipeline->generate(request, {});
    const auto taken = static_cast<double>(it.test.context().device.memory().peak);
    EXPECT_NEAR(static_cast<double>(predicted.activations), taken, 0.15 * taken) << side;
    EXPECT_GT(predicted.peak, predicted.weights + predicted.activations);
    EXPECT_GT(predicted.weights, 10'000'000u);
    EXPECT_LT(predicted.weights, 15'000'000u);
  }
}

/// The error that completing a request ends with.
struct Refusal {
  std::string what, hint;
};
Refusal refusal(const Storybook& it, const Request& request) {
  try {
    it.pipeline->complete(request);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidRequest) << error.what();
    return {error.what(), error.hint()};
  }
  return {"accepted", ""};
}

TEST(Storybook, RefusesWhatItCannotMakeAndSaysWhatItCould) {
  Storybook it;
  const auto with = [&](auto change) {
    Request request = {.prompts = {"a cat"}};
    change(request);
    return refusal(it, request);
  };
  const auto sized = [&](std::int64_t width, std::int64_t height) {
    return with([&](Request& r) {
      r.width = width;
      r.height = height;
    });
  };
  EXPECT_EQ(sized(128, 144).what, "accepted");
  EXPECT_EQ(sized(130, 128).hint, "nearest sizes: 128x128 and 144x128");
  EXPECT_EQ(sized(130, 250).hint, "nearest sizes: 128x240 and 144x256");
  EXPECT_EQ(sized(7, 64).hint, "nearest sizes: 16x64");
  EXPECT_EQ(sized(-16, 64).hint, "nearest sizes: 16x64");
  EXPECT_EQ(sized(20000, 64).hint, "nearest sizes: 16384x64");
  EXPECT_EQ(sized(INT64_MAX, INT64_MAX).hint, "");
  EXPECT_NE(with([](Request& r) { r.prompts.clear(); }).what.find("prompts"), std::string::npos);
  EXPECT_NE(with([](Request& r) { r.prompts.resize(1000); }).what.find("prompts"),
            std::string::npos);
  EXPECT_NE(with([](Request& r) { r.steps = -1; }).what.find("steps"), std::string::npos);
  EXPECT_NE(with([](Request& r) { r.steps = 1; }).what.find("shift_terminal"), std::string::npos);
  EXPECT_NE(with([](Request& r) { r.steps = 2000000000; }).what.find("steps"), std::string::npos);
  EXPECT_NE(with([](Request& r) { r.true_cfg_scale = -1.0f; }).what.find("true_cfg_scale"),
            std::string::npos);
  EXPECT_EQ(with([](Request& r) { r.guidance_scale = 3.0f; }).hint, "use true_cfg_scale");
  EXPECT_NE(with([](Request& r) { r.strength = 0.5f; }).what.find("strength"), std::string::npos);
  EXPECT_NE(with([](Request& r) {
              r.sigmas = {1.0f, 0.0f};
            }).what.find("sigmas"),
            std::string::npos);
  EXPECT_NE(with([](Request& r) {
              r.sigmas = {1.0f, 0.5f};
              r.steps = 3;
            }).what.find("steps"),
            std::string::npos);
  EXPECT_NE(with([](Request& r) {
              r.images = {std::make_shared<const Image>(Image{1, 1, {0, 0, 0}})};
            }).what.find("condition pictures: wanted 0"),
            std::string::npos);
  EXPECT_NE(with([&](Request& r) {
              r.latents = it.test.random({1, 63, 64});
            }).what.find("latents"),
            std::string::npos);
  EXPECT_EQ(with([&](Request& r) { r.latents = it.test.random({1, 64, 64}); }).what, "accepted");
}

TEST(Storybook, RefusesAPromptOfMoreTokensThanTheLimit) {
  Storybook it;
  std::string prompt;
  for (int i = 0; i < 1100; ++i) prompt += "a cat ";
  const std::string middle = prompt.substr(0, 6 * 300);  // 601 tokens, and 5 of the template
  const Refusal refused = refusal(it, {.prompts = {"a cat", middle}});
  EXPECT_EQ(refused.what, "prompt 2: wanted at most 512 tokens, found 606");
  EXPECT_EQ(refused.hint, "--max-sequence-length allows up to 1024");
  EXPECT_EQ(refusal(it, {.prompts = {middle}, .max_sequence_length = 606}).what, "accepted");
  EXPECT_EQ(refusal(it, {.prompts = {middle}, .max_sequence_length = 605}).what,
            "prompt 1: wanted at most 605 tokens, found 606");
  EXPECT_EQ(refusal(it, {.prompts = {prompt}, .max_sequence_length = 1024})
                .what.find("prompt 1: wanted at most 1024 tokens"),
            0u);
  EXPECT_EQ(refusal(it, {.prompts = {"a cat"}, .negative_prompts = {prompt}})
                .what.find("negative prompt 1"),
            0u);
  for (const int limit : {-1, 1025})
    EXPECT_EQ(refusal(it, {.prompts = {"a cat"}, .max_sequence_length = limit})
                  .what.find("max_sequence_length"),
              0u);
}

}  // namespace
}  // namespace annulus::qwen_image

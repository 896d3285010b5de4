#include "models/wan/causal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "io/test_folder.h"
#include "models/registry.h"
#include "models/wan/test_transformer.h"
#include "nn/transfer.h"

namespace annulus::wan {
namespace {

/// The golden's model as a causal one: its folders, another class and a window.
struct CausalFolder {
  CausalFolder() {
    const std::filesystem::path from = kGoldens / "wan21";
    for (const char* part : {"scheduler", "text_encoder", "tokenizer", "transformer", "vae"})
      std::filesystem::create_directory_symlink(from / part, folder.path() / part);
    std::ifstream file(from / "model_index.json");
    std::string index{std::istreambuf_iterator<char>(file), {}};
    index.replace(index.find("WanPipeline"), 11, "WanCausalDMDPipeline");
    folder.write("model_index.json", index);
  }
  TestFolder folder;
};

struct TestCausal {
  explicit TestCausal(const CausalFolder& model, std::string_view platform = "reference",
                      Communicator* world = nullptr, ParallelPlan plan = {})
      : test(platform, 1, world, plan), ctx(test.context()) {
    const Checkpoint checkpoint = Checkpoint::open(model.folder.path());
    pipeline =
        model_entry_for(checkpoint)
            .load(checkpoint,
                  {.ctx = ctx,
                   .attention = test.attention(),
                   .defaults = Json::object({{"window", 4}, {"sink", 1}, {"block_frames", 3}})});
  }
  TestContext test;
  Context ctx;
  std::unique_ptr<Pipeline> pipeline;
};

Request small_request() {
  Request request;
  request.prompts = {"a red car"};
  request.seeds = {3};
  request.width = 48;
  request.height = 32;
  request.frames = 29;  // eight latent frames: two blocks of three and one of two
  return request;
}

TEST(WanCausal, LevelsOfFourStepsAreThoseOfTheShiftedTable) {
  const std::vector<int> steps = {1000, 750, 500, 250};
  const FewSteps made = few_steps(steps, 5);
  for (std::size_t i = 0; i < 4; ++i) {
    const double level = steps[i] / 1000.0, sigma = 5 * level / (1 + 4 * level);
    EXPECT_NEAR(made.sigmas[i], sigma, 1e-6);
    EXPECT_NEAR(made.timesteps[i], 1000 * sigma, 1e-3);
  }
  EXPECT_THROW(few_steps(std::vector<int>{500, 500}, 5), Error);
  EXPECT_THROW(few_steps(std::vector<int>{0}, 5), Error);
  EXPECT_THROW(few_steps(std::vector<int>{1001}, 5), Error);
}

TEST(WanCausal, OneBlockOfAllFramesEqualsTheModelWithoutCache) {
  TestTransformer it(kGoldens / "wan21");
  const Prompt prompt = it.prompt(2, 5);
  const VideoGrid grid = {3, 2, 3};
  const Tensor latents = it.latents(2, grid.rows());
  CausalVideo causal(it.ctx, it.transformer, prompt, grid, {.block_frames = 3, .window = {}});
  const Placed video = place_video(it.ctx, it.transformer, grid, std::vector<std::int64_t>{3});
  const std::vector<double> timesteps = {700};
  EXPECT_LT(
      largest_difference(to_host(it.ctx, causal.predict(0, 3, latents, 700)),
                         to_host(it.ctx, forward(it.ctx, it.transformer, prompt, video,
                                                 {.latents = latents, .timesteps = timesteps}))),
      1e-5);
}

TEST(WanCausal, FramesComeAsTheirBlockIsDone) {
  const CausalFolder folder;
  TestCausal it(folder);
  int steps_done = 0;
  std::vector<int> at_step;  // of each frame
  std::vector<Image> frames;
  Progress progress;
  progress.report = [&](std::string_view stage, int done, int total) {
    if (stage != "denoise") return;
    steps_done = done;
    EXPECT_EQ(total, 12);
  };
  progress.frame = [&](int, std::int64_t frame, const Image& image) {
    EXPECT_EQ(frame, std::ssize(frames));
    at_step.push_back(steps_done);
    frames.push_back(image);
  };
  const Request request = it.pipeline->complete(small_request());
  EXPECT_EQ(request.steps, 4);
  it.pipeline->generate(request, progress);
  ASSERT_EQ(frames.size(), 29U);
  for (std::size_t i = 0; i < frames.size(); ++i)
    EXPECT_EQ(at_step[i], i < 9 ? 4 : i < 21 ? 8 : 12);
  EXPECT_EQ(it.pipeline->generate(request, {}).images, frames);
}

TEST(WanCausal, GuidanceIsRefused) {
  const CausalFolder folder;
  TestCausal it(folder);
  Request request = small_request();
  request.true_cfg_scale = 3.0F;
  EXPECT_THROW(it.pipeline->complete(request), Error);
}

// Oracle: one rank in double precision; bound: twice the error of one rank.
TEST(WanCausal, EveryPlanGivesOneRanksLatents) {
  const CausalFolder folder;
  const auto latents_of = [&](TestCausal& it) {
    return to_host(it.ctx,
                   it.pipeline->generate(it.pipeline->complete(small_request()), {}).latents);
  };
  const auto rms = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
    return a.size() == b.size() ? std::sqrt(sum / static_cast<double>(a.size())) : HUGE_VAL;
  };
  const std::string platform(make_platform("", {.threads = 1})->name());
  TestCausal exact_one(folder), alone_one(folder, platform);
  const std::vector<float> exact = latents_of(exact_one), alone = latents_of(alone_one);
  for (const ParallelPlan plan : {ParallelPlan{.ring = 3}, ParallelPlan{.ulysses = 2, .ring = 2}})
    run_local_ranks(plan.ranks(), {}, [&](Communicator& world) {
      TestCausal it(folder, platform, &world, plan);
      EXPECT_LE(rms(latents_of(it), exact), 2 * rms(alone, exact) + 1e-5)
          << to_string(plan) << ", rank " << world.rank();
    });
}

TEST(WanCausal, MemoryOfALongVideoIsThatOfItsWindow) {
  const CausalFolder folder;
  TestCausal it(folder);
  const auto activations = [&](std::int64_t frames) {
    Request request = small_request();
    request.frames = frames;
    return it.pipeline->predict_memory(it.pipeline->complete(request)).activations;
  };
  // What grows are the latents themselves: noise and result, 4 bytes or 8 of 16 x 4 x 6 a frame.
  const std::size_t more = activations(4 * 199 + 1) - activations(4 * 49 + 1);
  EXPECT_LE(more, std::size_t{150} * 16 * 4 * 6 * 8 * 4);
}

}  // namespace
}  // namespace annulus::wan

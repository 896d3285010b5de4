#include "models/wan/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/wan/test_transformer.h"
#include "nn/transfer.h"
#include "pipeline/meter.h"

namespace annulus::wan {
namespace {

struct TestPipeline {
  explicit TestPipeline(const char* model, std::string_view platform = "reference",
                        Communicator* world = nullptr, ParallelPlan plan = {})
      : test(platform, 1, world, plan),
        ctx(test.context()),
        pipeline(load_pipeline(Checkpoint::open(kGoldens / model),
                               {.ctx = ctx, .attention = test.attention()})) {}
  TestContext test;
  Context ctx;
  std::unique_ptr<Pipeline> pipeline;
};

Request small_request(std::int64_t unit = 16) {
  Request request;
  request.prompts = {"a red car"};
  request.seeds = {3};
  request.width = 3 * unit;
  request.height = 2 * unit;
  request.frames = 9;
  request.steps = 2;
  request.true_cfg_scale = 4.0F;
  return request;
}

std::shared_ptr<const Image> picture() {
  Image image = {20, 30, {}};
  for (int i = 0; i < 20 * 30 * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7 % 251));
  return std::make_shared<const Image>(std::move(image));
}

std::vector<float> latents_of(TestPipeline& it, Request request) {
  return to_host(it.ctx,
                 it.pipeline->generate(it.pipeline->complete(std::move(request)), {}).latents);
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return a.size() == b.size() ? std::sqrt(sum / static_cast<double>(a.size())) : HUGE_VAL;
}

// Oracle: one rank in double precision; bound: twice the error of one rank.
void every_plan_equals_one_rank(const char* model, const Request& request) {
  const std::string platform(make_platform("", {.threads = 1})->name());
  TestPipeline exact_one(model), alone_one(model, platform);
  const std::vector<float> exact = latents_of(exact_one, request),
                           alone = latents_of(alone_one, request);
  for (const ParallelPlan plan :
       {ParallelPlan{.cfg = 2}, ParallelPlan{.cfg = 2, .ulysses = 2, .ring = 2},
        ParallelPlan{.ring = 5}})
    run_local_ranks(plan.ranks(), {}, [&](Communicator& world) {
      TestPipeline it(model, platform, &world, plan);
      const Result result = it.pipeline->generate(it.pipeline->complete(request), {});
      EXPECT_LE(rms(to_host(it.ctx, result.latents), exact), 2 * rms(alone, exact) + 1e-5)
          << to_string(plan) << ", rank " << world.rank();
      EXPECT_EQ(result.images.size(), world.rank() == 0 ? 9U : 0U);
    });
}

TEST(WanPipeline, EveryPlanWithGuidanceGivesOneRanksLatentsAndAllFrames) {
  every_plan_equals_one_rank("wan21", small_request());
}

TEST(WanPipeline, FirstFrameGivenOnEveryPlanEqualsOneRank) {
  Request request = small_request(32);
  request.images = {picture()};
  every_plan_equals_one_rank("wan22_ti2v", request);
}

TEST(WanPipeline, FramesThatAreHandedOnAreThoseOfTheResult) {
  TestPipeline it("wan22_a14b");
  Request request = small_request();
  request.prompts = {"a", "b"};
  const Request completed = it.pipeline->complete(request);
  const Result whole = it.pipeline->generate(completed, {});
  ASSERT_EQ(whole.images.size(), 18U);
  std::vector<Image> handed;
  Progress progress;
  progress.frame = [&](int index, std::int64_t frame, const Image& image) {
    EXPECT_EQ(static_cast<std::size_t>(index * 9 + frame), handed.size());
    handed.push_back(image);
  };
  EXPECT_TRUE(it.pipeline->generate(completed, progress).images.empty());
  EXPECT_EQ(handed, whole.images);
}

TEST(WanPipeline, PreviewsAreSheetsAndChangeNothing) {
  TestPipeline it("wan21");
  Request request = small_request();
  const std::vector<float> plain = latents_of(it, request);
  request.preview_every = 1;
  int previews = 0;
  Progress progress;
  progress.preview = [&](int, int step, const Image& sheet) {
    ++previews;
    EXPECT_EQ(step, 1);
    EXPECT_EQ(sheet.width, 3 * 48);  // three latent frames
    EXPECT_EQ(sheet.height, 32);
  };
  const Result result = it.pipeline->generate(it.pipeline->complete(request), progress);
  EXPECT_EQ(previews, 1);
  EXPECT_EQ(to_host(it.ctx, result.latents), plain);
}

TEST(WanPipeline, WhatCannotBeMadeIsRefusedWithTheNearestThatCan) {
  TestPipeline it("wan21");
  const auto hint_of = [&](const std::function<void(Request&)>& change) -> std::string {
    Request request = small_request();
    change(request);
    try {
      it.pipeline->complete(request);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidRequest);
      return error.hint().empty() ? error.what() : error.hint();
    }
    return "accepted";
  };
  EXPECT_EQ(hint_of([](Request&) {}), "accepted");
  EXPECT_EQ(hint_of([](Request& r) { r.frames = 80; }), "nearest: 77 and 81");
  EXPECT_EQ(hint_of([](Request& r) { r.frames = -3; }), "nearest: 1");
  EXPECT_EQ(hint_of([](Request& r) { r.width = 50; }), "nearest sizes: 48x32 and 64x32");
  EXPECT_NE(hint_of([](Request& r) { r.images = {picture()}; }).find("none"), std::string::npos);
  EXPECT_NE(hint_of([](Request& r) { r.guidance_scale_2 = 3.0F; }).find("one transformer"),
            std::string::npos);
  EXPECT_NE(hint_of([](Request& r) { r.fps = 1e9; }).find("fps"), std::string::npos);
}

TEST(WanPipeline, GuidanceIsTheSameUnderBothNames) {
  TestPipeline it("wan22_a14b");
  Request request = small_request();
  request.true_cfg_scale.reset();
  request.guidance_scale = 2.5F;
  const Request completed = it.pipeline->complete(request);
  EXPECT_EQ(completed.true_cfg_scale, 2.5F);
  EXPECT_EQ(completed.guidance_scale_2, 2.5F);
}

TEST(WanVae, MemoryOfDecodingDoesNotGrowWithTheFrames) {
  TestPipeline it("wan22_ti2v");
  const Checkpoint checkpoint = Checkpoint::open(kGoldens / "wan22_ti2v");
  qwen_image::Vae vae =
      qwen_image::load_vae(checkpoint.weights("vae", it.ctx.device), checkpoint.config("vae"),
                           it.test.attention().for_component("vae"), it.ctx.dtype);
  vae.decoder.mid_block.attention.attention.backend = &Meter::attention();
  const auto peak_of = [&](std::int64_t frames) {
    Meter meter(it.ctx.mesh);
    const Context ctx = meter.context(it.ctx);
    // Latents themselves are small; what layers hold must not follow their number.
    const Tensor latents = Tensor::empty({1, frames, 4, 4, vae.config.z_dim}, ctx.wide, ctx.device);
    qwen_image::decode_video(ctx, vae, latents, {}, {}, nullptr, [](const auto&) {});
    return meter.peak() - latents.bytes();
  };
  EXPECT_EQ(peak_of(40), peak_of(4));
}

}  // namespace
}  // namespace annulus::wan

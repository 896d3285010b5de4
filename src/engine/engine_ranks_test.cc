// The same picture on any number of ranks. Oracles: one rank; one rank in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>

#include "base/environment.h"
#include "engine/test_ranks.h"
#include "io/safetensors.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

class EngineRanks : public OnCpu {};

/// Are there fewer cases to try (sanitizers slow them tenfold and more), and
/// smaller ones?
bool in_brief() {
  return !environment("ANNULUS_CASES").empty();
}

Request request_for(std::int64_t width, std::int64_t height, std::vector<std::string> prompts) {
  Request request;
  request.prompts = std::move(prompts);
  request.width = in_brief() ? std::min<std::int64_t>(width, 48) : width;
  request.height = in_brief() ? std::min<std::int64_t>(height, 64) : height;
  request.steps = 2;
  request.true_cfg_scale = 3;
  request.seeds = {7};
  return request;
}

/// Every division of up to 8 ranks that a model of `heads` heads allows.
std::vector<ParallelPlan> all_plans(int heads) {
  std::vector<ParallelPlan> plans;
  if (in_brief()) return {{.cfg = 2, .ring = 2}, {.ulysses = 2, .ring = 2}};
  for (int cfg = 1; cfg <= 2; ++cfg)
    for (int ring = 1; ring <= 8; ++ring)
      for (int ulysses = 1; ulysses <= heads; ++ulysses)
        if (heads % ulysses == 0 && cfg * ring * ulysses <= 8 && cfg * ring * ulysses > 1)
          plans.push_back({.cfg = cfg, .ulysses = ulysses, .ring = ring});
  return plans;
}

/// Latents: at most twice the error of one rank (and a little where that is 0); pictures: a byte.
void every_plan_equals_one_rank(const std::filesystem::path& model, const Request& request,
                                const std::vector<ParallelPlan>& plans) {
  EngineConfig config = {.checkpoint = model};
  const Made alone = run_ranks(config, request);
  config.platform = "reference";
  const Made exact = run_ranks(config, request);
  config.platform = "";
  const double error = rms(alone.latents, exact.latents);
  for (const ParallelPlan& plan : plans) {
    config.plan = plan;
    const Made ranks = run_ranks(config, request);
    EXPECT_LE(rms(ranks.latents, exact.latents), 2 * error + 1e-6) << to_string(plan);
    EXPECT_LE(byte_difference(ranks.images, alone.images), 1) << to_string(plan);
  }
}

TEST_F(EngineRanks, StorybookIn63TokensUnderEveryPlanEqualsOneRank) {
  every_plan_equals_one_rank(kStorybook, request_for(112, 144, {"a purple house"}), all_plans(4));
}

TEST_F(EngineRanks, PromptsOfDifferentLengthsShorterThanTheRanksEqualOneRank) {
  every_plan_equals_one_rank(kStorybook,
                             request_for(48, 80, {"a red boat on the blue sea", "x", "two trees"}),
                             in_brief() ? std::vector<ParallelPlan>{{.cfg = 2, .ring = 2}}
                                        : std::vector<ParallelPlan>{{.ring = 2},
                                                                    {.cfg = 2, .ring = 3},
                                                                    {.ulysses = 4, .ring = 2},
                                                                    {.cfg = 2, .ring = 4}});
}

TEST_F(EngineRanks, OneTokenOnEightRanksEqualsOneRank) {
  every_plan_equals_one_rank(kStorybook, request_for(16, 16, {"a house"}),
                             {{.ring = 8}, {.cfg = 2, .ulysses = 2, .ring = 2}, {.ring = 3}});
}

TEST_F(EngineRanks, TheTinyModelEqualsOneRank) {
  every_plan_equals_one_rank(kTiny, request_for(48, 80, {"a house"}),
                             {{.ring = 2}, {.cfg = 2, .ring = 2}, {.ulysses = 2, .ring = 3}});
}

TEST_F(EngineRanks, ARequestWithoutGuidanceTurnsTheCfgFactorIntoRing) {
  Request request = request_for(48, 64, {"a house"});
  request.true_cfg_scale = 1;
  every_plan_equals_one_rank(kStorybook, request, {{.cfg = 2}, {.cfg = 2, .ring = 3}});
}

TEST_F(EngineRanks, TilesDealtToRanksBlendAsOnOneRank) {
  if (in_brief()) GTEST_SKIP() << "a picture of several tiles takes too long here";
  Request request = request_for(272, 288, {"a house"});
  request.vae_tiling = Request::VaeTiling::On;
  request.true_cfg_scale = 1;
  EngineConfig config = {.checkpoint = kStorybook};
  const Made alone = run_ranks(config, request);
  for (const int ranks : {2, 3}) {
    config.plan.ring = ranks;
    EXPECT_LE(byte_difference(run_ranks(config, request).images, alone.images), 1) << ranks;
  }
}

TEST_F(EngineRanks, TwiceTheSameRunGivesTheSameBits) {
  const Request request = request_for(112, 144, {"a purple house", "snow"});
  const EngineConfig config = {.checkpoint = kStorybook,
                               .plan = {.cfg = 2, .ulysses = 2, .ring = 2}};
  const Made one = run_ranks(config, request), two = run_ranks(config, request);
  EXPECT_EQ(one.latents, two.latents);
  EXPECT_EQ(byte_difference(one.images, two.images), 0);
}

TEST_F(EngineRanks, DeterministicRunsGiveTheSameBitsForEveryRingDegree) {
  Request request = request_for(112, 144, {"a purple house", "snow"});
  for (const DType dtype : {DType::F32, DType::BF16}) {
    EngineConfig config = {.checkpoint = kStorybook, .dtype = dtype, .deterministic = true};
    const Made alone = run_ranks(config, request);
    for (const ParallelPlan& plan : {ParallelPlan{.ring = 3}, ParallelPlan{.cfg = 2, .ring = 2},
                                     ParallelPlan{.ring = 2}, ParallelPlan{.ring = 8}}) {
      if (in_brief() && plan.cfg == 1) continue;
      config.plan = plan;
      const Made ranks = run_ranks(config, request);
      EXPECT_EQ(ranks.latents, alone.latents) << to_string(plan) << " in " << name_of(dtype);
      EXPECT_EQ(byte_difference(ranks.images, alone.images), 0) << to_string(plan);
    }
  }
}

TEST_F(EngineRanks, DeterministicRunsRefuseUlyssesByName) {
  const EngineConfig config = {
      .checkpoint = kStorybook, .plan = {.ulysses = 2}, .deterministic = true};
  try {
    run_ranks(config, request_for(48, 64, {"a house"}));
    ADD_FAILURE() << "it ran";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.what()).find("--ulysses-degree 1"), std::string::npos);
  }
}

TEST_F(EngineRanks, MessagesGiveTheBitsOfShardsReadInPlace) {
  const Request request = request_for(112, 144, {"a purple house"});
  const EngineConfig config = {.checkpoint = kStorybook, .plan = {.ring = 3}};
  EXPECT_EQ(run_ranks(config, request).latents,
            run_ranks(config, request, {.shared_memory = false}).latents);
}

TEST_F(EngineRanks, PreviewsComeToRankZeroAndShowWhatOneRankShows) {
  Request request = request_for(48, 64, {"a house"});
  request.steps = 3;
  request.preview_every = 1;
  std::array<std::vector<Image>, 2> seen;
  for (std::size_t i = 0; i < 2; ++i)
    run_ranks({.checkpoint = kStorybook, .plan = {.ring = i == 0 ? 1 : 3}}, request, {},
              {.preview = [&](int, int, const Image& image) { seen[i].push_back(image); }});
  EXPECT_EQ(seen[0].size(), 2u);
  EXPECT_LE(byte_difference(seen[0], seen[1]), 1);
}

TEST_F(EngineRanks, InfinityFromTheDecoderIsFoundHoweverRanksDivideIt) {
  const std::filesystem::path copy =
      std::filesystem::path(testing::TempDir()) / "annulus-infinity-in-the-vae";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(kTiny, copy, std::filesystem::copy_options::recursive);
  const std::filesystem::path file = copy / "vae" / "diffusion_pytorch_model.safetensors";
  {
    const std::size_t bias = SafetensorsFile::open(file).find("decoder.conv_out.bias")->offset;
    const float infinity = std::numeric_limits<float>::infinity();
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(bias));
    stream.write(reinterpret_cast<const char*>(&infinity), sizeof infinity);
  }
  Request request = request_for(272, 288, {"a house"});
  request.true_cfg_scale = 1;
  for (const auto tiling : {Request::VaeTiling::Off, Request::VaeTiling::On}) {
    request.vae_tiling = tiling;
    try {
      run_ranks({.checkpoint = copy, .plan = {.ring = 2}}, request);
      ADD_FAILURE() << "nothing was wrong";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::NonFinite) << error.what();
    }
  }
  std::filesystem::remove_all(copy);
}

TEST_F(EngineRanks, ARunGoesOnFromItsLatentsUnderAnotherPlanToTheSamePicture) {
  Request request = request_for(112, 144, {"a house", "snow"});
  request.steps = 4;
  const EngineConfig alone = {.checkpoint = kStorybook};
  const Made whole = run_ranks(alone, request);
  for (const ParallelPlan& first : {ParallelPlan{}, ParallelPlan{.cfg = 2, .ring = 2}}) {
    EngineConfig config = {.checkpoint = kStorybook, .plan = first};
    request.checkpoint_every = 2;
    request.start.reset();
    HostDevice host(1);
    Start start;
    run_ranks(config, request, {}, {.checkpoint = [&](int steps, const Tensor& latents) {
                Stream stream(host);
                start = {steps, Tensor::empty(latents.shape(), latents.dtype(), host)};
                copy(stream, latents, start.latents);
              }});
    ASSERT_EQ(start.steps, 2) << "kept after the second of four steps, not after the last";
    request.start = start;
    config.plan = {.ulysses = 2, .ring = 3};
    EXPECT_LE(byte_difference(run_ranks(config, request).images, whole.images), 1);
    config.plan = {};
    const Made again = run_ranks(config, request);
    if (first.ranks() == 1) {
      EXPECT_EQ(again.latents, whole.latents) << "one rank goes on bit for bit";
    }
    EXPECT_LE(byte_difference(again.images, whole.images), 1);
  }
}

TEST_F(EngineRanks, AStopAskedOfRankZeroStopsAllAndTheNextRequestRuns) {
  EngineConfig config = {.checkpoint = kStorybook, .threads = 1, .plan = {.ring = 2}};
  run_local_ranks(2, {}, [&](Communicator& world) {
    Engine engine(config, &world);
    if (!engine.leads()) return engine.follow();
    int asked = 0;
    try {
      engine.run(request_for(48, 64, {"a house"}), {.cancelled = [&] { return ++asked > 3; }});
      ADD_FAILURE() << "it was not stopped";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Cancelled) << error.what();
    }
    EXPECT_EQ(engine.run(request_for(48, 64, {"a house"}), {}).images.size(), 1u);
  });
}

}  // namespace
}  // namespace annulus

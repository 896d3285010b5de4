#include <gtest/gtest.h>

#include <cmath>

#include "models/wan/test_transformer.h"
#include "parallel/shard.h"

namespace annulus::wan {
namespace {

const std::vector<ParallelPlan> kPlans = {ParallelPlan{.ring = 2}, ParallelPlan{.ulysses = 2},
                                          ParallelPlan{.ulysses = 2, .ring = 2},
                                          ParallelPlan{.ring = 3}, ParallelPlan{.ring = 8}};

struct RanksCase {
  std::filesystem::path model;
  VideoGrid grid;
  std::vector<std::int64_t> frames;
  std::vector<double> timesteps;
  std::int64_t batch, txt_seq;
};

/// The prediction of a step by `world`'s ranks, gathered.
std::vector<float> predict(const RanksCase& c, std::string_view platform, Communicator* world,
                           const ParallelPlan& plan) {
  TestTransformer it(c.model, platform, world, plan);
  const Prompt prompt = it.prompt(c.batch, c.txt_seq);  // drawn alike on every rank
  const Placed video = place_video(it.ctx, it.transformer, c.grid, c.frames);
  const Tensor latents = shard(it.ctx, it.latents(c.batch, c.grid.rows()), 1, video.sequence);
  const Tensor mine = forward(it.ctx, it.transformer, prompt, video,
                              {.latents = latents, .timesteps = c.timesteps});
  return to_host(it.ctx, gather(it.ctx, mine, 1, video.sequence));
}

/// Two blocks of frames through a cache, the second one twice: the predictions of all, gathered.
std::vector<float> predict_causal(std::string_view platform, Communicator* world,
                                  const ParallelPlan& plan) {
  TestTransformer it(kGoldens / "wan21", platform, world, plan);
  const TransformerConfig& c = it.transformer.config;
  const Prompt prompt = it.prompt(1, 6);
  const std::int64_t height = 3, width = 5, count = 2, total = 6;
  std::vector<KeyCache> caches;
  std::vector<float> all;
  for (const std::int64_t first : {0, 2, 2, 4}) {
    const VideoGrid grid = {count, height, width, first};
    const std::vector<std::int64_t> frames(count, 1);  // dealt to ranks frame by frame
    const Placed video = place_video(it.ctx, it.transformer, grid, frames);
    if (caches.empty())
      for (int i = 0; i < c.num_layers; ++i)
        caches.emplace_back(
            it.ctx, Shape{1, video.rows_here / count, c.num_attention_heads, c.attention_head_dim},
            it.ctx.dtype, grid.frame_rows(), CacheWindow{3, 1}, total);
    for (KeyCache& cache : caches) cache.at(first, count);
    const Tensor latents = shard(it.ctx, it.latents(1, grid.rows()), 1, video.sequence);
    const std::vector<double> timesteps(count, 500.0);
    const Tensor mine = forward(it.ctx, it.transformer, prompt, video,
                                {.latents = latents, .timesteps = timesteps}, caches);
    const std::vector<float> whole = to_host(it.ctx, gather(it.ctx, mine, 1, video.sequence));
    all.insert(all.end(), whole.begin(), whole.end());
  }
  return all;
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return a.size() == b.size() ? std::sqrt(sum / static_cast<double>(a.size())) : HUGE_VAL;
}

// Oracle: one rank in double precision; bound: twice the error of one rank.
template <class Predict>
void every_plan_equals_one_rank(Predict predict_with) {
  const std::string platform(make_platform("", {.threads = 1})->name());
  const std::vector<float> exact = predict_with("reference", nullptr, ParallelPlan{}),
                           alone = predict_with(platform, nullptr, ParallelPlan{});
  for (const ParallelPlan& plan : kPlans)
    run_local_ranks(plan.ranks(), {}, [&](Communicator& world) {
      const std::vector<float> ranks = predict_with(platform, &world, plan);
      EXPECT_LE(rms(ranks, exact), 2 * rms(alone, exact) + 1e-6)
          << to_string(plan) << ", rank " << world.rank();
    });
}

void every_plan_equals_one_rank(const RanksCase& c) {
  every_plan_equals_one_rank(
      [&](std::string_view platform, Communicator* world, const ParallelPlan& plan) {
        return predict(c, platform, world, plan);
      });
}

TEST(WanRanks, FramesAndRowsThatRanksDoNotDivideEqualOneRank) {
  every_plan_equals_one_rank(RanksCase{kGoldens / "wan21", {3, 3, 5}, {3}, {625}, 2, 7});
}

TEST(WanRanks, OnePatchOnEightRanksEqualsOneRank) {
  every_plan_equals_one_rank(RanksCase{kGoldens / "wan21", {1, 1, 1}, {1}, {900}, 1, 3});
}

TEST(WanRanks, FirstFrameWithATimestepOfItsOwnEqualsOneRank) {
  every_plan_equals_one_rank(RanksCase{kGoldens / "wan22_ti2v", {4, 1, 3}, {1, 3}, {0, 750}, 1, 5});
}

TEST(WanRanks, PictureBesideThePromptEqualsOneRank) {
  every_plan_equals_one_rank(RanksCase{kGoldens / "wan21_i2v", {2, 2, 3}, {2}, {300}, 1, 512});
}

TEST(WanRanks, CausalVideoWithWindowAndSinkOverADividedCacheEqualsOneRank) {
  every_plan_equals_one_rank(predict_causal);
}

}  // namespace
}  // namespace annulus::wan

#include <gtest/gtest.h>

#include <cmath>

#include "models/qwen_image/test_transformer.h"
#include "parallel/shard.h"

namespace annulus::qwen_image {
namespace {

const std::filesystem::path kTiny = kGoldens / "qwen_image" / "tiny";
const std::filesystem::path kPlus = kGoldens / "qwen_image_edit" / "tiny_plus_2511";

struct RanksCase {
  std::filesystem::path model;
  std::vector<PatchGrid> grids;
  std::vector<std::int64_t> lengths;  // of the prompts
  std::int64_t txt_seq;
};

/// The prediction of a step by `world`'s ranks, gathered.
std::vector<float> predict(const RanksCase& c, std::string_view platform, Communicator* world,
                           const ParallelPlan& plan) {
  TestTransformer it(c.model, platform, world, plan);
  const Conditioning text = it.text(c.lengths, c.txt_seq);  // drawn alike on every rank
  const auto batch = static_cast<std::int64_t>(c.lengths.size());
  const Sequence pictures = picture_sequence(c.grids);
  const Tensor latents = shard(it.ctx, it.latents(batch, pictures.rows()), 1, pictures);
  const Prepared prompt = prepare(it.ctx, it.transformer, text, c.grids);
  const std::vector<double> timesteps(c.lengths.size(), 0.625);
  const Tensor mine = forward(it.ctx, it.transformer, prompt,
                              {.latents = latents, .timesteps = timesteps}, prompt.target_seq);
  return to_host(it.ctx, gather(it.ctx, mine, 1, prompt.targets));
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return a.size() == b.size() ? std::sqrt(sum / static_cast<double>(a.size())) : HUGE_VAL;
}

// Oracle: one rank in double precision; bound: twice the error of one rank.
void every_plan_equals_one_rank(const RanksCase& c) {
  const std::string platform(make_platform("", {.threads = 1})->name());
  const std::vector<float> exact = predict(c, "reference", nullptr, {}),
                           alone = predict(c, platform, nullptr, {});
  for (const ParallelPlan plan :
       {ParallelPlan{.ring = 2}, ParallelPlan{.ulysses = 2}, ParallelPlan{.ulysses = 2, .ring = 2},
        ParallelPlan{.ring = 3}, ParallelPlan{.ring = 8}})
    run_local_ranks(plan.ranks(), {}, [&](Communicator& world) {
      const std::vector<float> ranks = predict(c, platform, &world, plan);
      EXPECT_LE(rms(ranks, exact), 2 * rms(alone, exact) + 1e-6)
          << to_string(plan) << ", rank " << world.rank();
    });
}

TEST(QwenImageRanks, TokensThatRanksDoNotDivideEqualOneRank) {
  every_plan_equals_one_rank({kTiny, {{1, 7, 9}}, {5, 5}, 5});
}

TEST(QwenImageRanks, OneTokenOnEightRanksEqualsOneRank) {
  every_plan_equals_one_rank({kTiny, {{1, 1, 1}}, {3}, 3});
}

TEST(QwenImageRanks, PromptsOfDifferentLengthsShorterThanTheRanksEqualOneRank) {
  every_plan_equals_one_rank({kTiny, {{1, 3, 5}}, {6, 2}, 6});
}

TEST(QwenImageRanks, ConditionPicturesModulatedApartEqualOneRank) {
  every_plan_equals_one_rank({kPlus, {{1, 4, 5}, {1, 3, 3}, {1, 1, 2}}, {7, 4}, 7});
}

}  // namespace
}  // namespace annulus::qwen_image

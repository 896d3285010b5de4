// Ranks that divide a picture's rows give what one rank gives.
#include <gtest/gtest.h>

#include "io/checkpoint.h"
#include "models/vaes/qwen_image/vae.h"
#include "nn/test_context.h"

namespace annulus::qwen_image {
namespace {

constexpr double kRounding = 1e-5;  // of values near 1

struct RankVae {
  RankVae(std::string_view platform, Communicator* world)
      : test(platform, 1, world, {.ring = world == nullptr ? 1 : world->size()}),
        ctx(test.context()) {
    const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(ANNULUS_SOURCE_DIR) /
                                                   "tests" / "goldens" / "qwen_image" / "tiny");
    AttentionSelection whole = test.attention().for_component("vae");
    whole.ring = false;
    vae =
        load_vae(checkpoint.weights("vae", ctx.device), checkpoint.config("vae"), whole, ctx.dtype);
  }
  TestContext test;
  Context ctx;
  Vae vae;
};

struct Both {
  HostTensor moments, pixels;
};

/// Frames of `rows` x 5 latents, drawn alike on every rank, through both halves.
Both both(std::string_view platform, Communicator* world, std::int64_t frames, std::int64_t rows) {
  RankVae it(platform, world);
  const std::int64_t ratio = it.vae.config.spatial_ratio();
  const Tensor latents = it.test.random({1, frames, rows, 5, it.vae.config.z_dim}),
               pixels = it.test.random({1, 1 + 4 * (frames - 1), rows * ratio, 5 * ratio, 3}, 0.5);
  return {encode(it.ctx, it.vae, pixels, {}, {}, world),
          decode(it.ctx, it.vae, latents, {}, {}, world)};
}

class Bands : public testing::TestWithParam<const char*> {};

TEST_P(Bands, OfPicturesAndVideoEqualOneRank) {
  for (const auto& [frames, rows] : {std::pair<std::int64_t, std::int64_t>{1, 7}, {3, 4}}) {
    const Both alone = both(GetParam(), nullptr, frames, rows);
    for (const int ranks : {2, 3, 8})  // 8: more than there are rows
      run_local_ranks(ranks, {}, [&](Communicator& world) {
        const Both divided = both(GetParam(), &world, frames, rows);
        EXPECT_LT(largest_difference(divided.moments.values, alone.moments.values), kRounding)
            << "encoder, rank " << world.rank() << " of " << ranks;
        if (world.rank() == 0) {
          EXPECT_LT(largest_difference(divided.pixels.values, alone.pixels.values), kRounding)
              << "decoder, " << ranks << " ranks";
        } else {
          EXPECT_TRUE(divided.pixels.values.empty());
        }
      });
  }
}

INSTANTIATE_TEST_SUITE_P(Platforms, Bands, testing::Values("cpu", "reference"));

}  // namespace
}  // namespace annulus::qwen_image

#include "models/vaes/qwen_image/vae.h"

#include <gtest/gtest.h>

#include <limits>

#include "io/checkpoint.h"
#include "models/vaes/qwen_image/flop.h"
#include "nn/test_context.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {
namespace {

constexpr double kRounding = 1e-5;  // of values near 1

struct TestVae {
  explicit TestVae(std::string_view platform) : test(platform), ctx(test.context()) {
    const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(ANNULUS_SOURCE_DIR) /
                                                   "tests" / "goldens" / "qwen_image" / "tiny");
    vae = load_vae(checkpoint.weights("vae", ctx.device), checkpoint.config("vae"),
                   test.attention().for_component("vae"), ctx.dtype);
  }
  TestContext test;
  Context ctx;
  Vae vae;
};

/// Frames [begin, end) of one entry.
std::vector<float> frames(const HostTensor& x, std::int64_t entry, std::int64_t begin,
                          std::int64_t end) {
  const std::int64_t frame = x.shape.elements() / x.shape[0] / x.shape[1];
  const auto at = x.values.begin() + entry * x.shape[1] * frame;
  return {at + begin * frame, at + end * frame};
}

class QwenImageVae : public testing::TestWithParam<const char*> {};

TEST_P(QwenImageVae, FirstFrameOfAVideoIsThatFrameAsAPicture) {
  TestVae it(GetParam());
  const Tensor latents = it.test.random({1, 3, 2, 3, it.vae.config.z_dim});
  const HostTensor video = decode(it.ctx, it.vae, latents, {});
  ASSERT_EQ(video.shape, Shape({1, 9, 16, 24, 3}));
  EXPECT_LT(largest_difference(
                frames(video, 0, 0, 1),
                decode(it.ctx, it.vae, clone(it.ctx.stream, latents.slice(1, 0, 1)), {}).values),
            kRounding);

  const Tensor pixels = it.test.random({1, 9, 16, 24, 3}, 0.5);
  const HostTensor moments = encode(it.ctx, it.vae, pixels, {});
  ASSERT_EQ(moments.shape, Shape({1, 3, 2, 3, 2 * it.vae.config.z_dim}));
  EXPECT_LT(largest_difference(
                frames(moments, 0, 0, 1),
                encode(it.ctx, it.vae, clone(it.ctx.stream, pixels.slice(1, 0, 1)), {}).values),
            kRounding);
}

TEST_P(QwenImageVae, LaterFramesDependOnEarlierOnesAndNotTheOtherWayRound) {
  TestVae it(GetParam());
  const Tensor three = it.test.random({1, 3, 2, 2, it.vae.config.z_dim});
  const HostTensor all = decode(it.ctx, it.vae, three, {});
  const HostTensor two = decode(it.ctx, it.vae, three.slice(1, 0, 2), {});
  EXPECT_LT(largest_difference(frames(all, 0, 0, 5), two.values), kRounding);
  const HostTensor last = decode(it.ctx, it.vae, three.slice(1, 1, 2), {});
  EXPECT_GT(largest_difference(frames(all, 0, 1, 2), last.values), 100 * kRounding);
}

TEST_P(QwenImageVae, BatchOfTwoEqualsTwoBatchesOfOne) {
  TestVae it(GetParam());
  const Tensor latents = it.test.random({2, 2, 2, 1, it.vae.config.z_dim});
  const HostTensor both = decode(it.ctx, it.vae, latents, {});
  const Tensor pixels = it.test.random({2, 5, 8, 16, 3});
  const HostTensor moments = encode(it.ctx, it.vae, pixels, {});
  for (std::int64_t i = 0; i < 2; ++i) {
    EXPECT_LT(largest_difference(frames(both, i, 0, both.shape[1]),
                                 decode(it.ctx, it.vae, latents.slice(0, i, i + 1), {}).values),
              kRounding);
    EXPECT_LT(largest_difference(frames(moments, i, 0, moments.shape[1]),
                                 encode(it.ctx, it.vae, pixels.slice(0, i, i + 1), {}).values),
              kRounding);
  }
}

TEST_P(QwenImageVae, APictureNoLargerThanATileIsDecodedWhole) {
  TestVae it(GetParam());
  const Tiling tiling = {32, 32, 16, 24};
  const Tensor small = it.test.random({1, 1, 4, 4, it.vae.config.z_dim}),
               large = it.test.random({1, 1, 5, 4, it.vae.config.z_dim});
  EXPECT_EQ(decode(it.ctx, it.vae, small, tiling).values, decode(it.ctx, it.vae, small, {}).values);
  EXPECT_NE(decode(it.ctx, it.vae, large, tiling).values, decode(it.ctx, it.vae, large, {}).values);
  const Tensor pixels = it.test.random({1, 1, 32, 32, 3}, 0.5);
  EXPECT_EQ(encode(it.ctx, it.vae, pixels, tiling).values,
            encode(it.ctx, it.vae, pixels, {}).values);
}

TEST_P(QwenImageVae, UpsamplingInBandsEqualsUpsamplingWhole) {
  TestVae it(GetParam());
  const std::array<std::int64_t, 2> square = {3, 3};
  const WeightScope w = WeightScope::of(
      {{"weight", it.test.random({3, 5, 3, 3})}, {"bias", it.test.random({3})}}, it.ctx.device);
  const Conv layer = load_conv(w, 5, 3, square);
  const Tensor x = it.test.random({2, 2, 7, 3, 5});
  const std::vector<float> whole = to_host(it.ctx, doubled(it.ctx, x, layer, 7));
  for (const std::int64_t band : {1, 2, 3, 6})
    EXPECT_LT(largest_difference(to_host(it.ctx, doubled(it.ctx, x, layer, band)), whole),
              kRounding)
        << "bands of " << band;
}

TEST_P(QwenImageVae, NormalisingAndBackGivesTheLatents) {
  TestVae it(GetParam());
  const Tensor latents = it.test.random({1, 2, 3, 2, it.vae.config.z_dim});
  const Tensor back =
      denormalised(it.ctx, it.vae.config, normalised(it.ctx, it.vae.config, latents));
  EXPECT_LT(largest_difference(to_host(it.ctx, back), to_host(it.ctx, latents)), kRounding);
}

TEST_P(QwenImageVae, InfinityAndNaNAreReportedAndNotClamped) {
  TestVae it(GetParam());
  const Tensor latents = it.test.random({1, 1, 2, 2, it.vae.config.z_dim});
  for (const double bad :
       {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()}) {
    const std::vector<double> bias = {bad, 0, 0};
    it.vae.decoder.conv_out.bias = to_device(it.ctx, bias, {3}, it.ctx.wide);
    for (const auto& tiling : {std::optional<Tiling>(), std::optional(Tiling{8, 8, 8, 8})}) try {
        decode(it.ctx, it.vae, latents, tiling);
        ADD_FAILURE() << bad << " was clamped";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::NonFinite) << error.what();
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Platforms, QwenImageVae, testing::Values("reference", "cpu"),
                         [](const auto& test) { return std::string(test.param); });

TEST(QwenImageVaeShapes, ThatDoNotFitAreRefused) {
  TestVae it("cpu");
  EXPECT_THROW(decode(it.ctx, it.vae, it.test.random({1, 1, 2, 2, 3}), {}), Error);
  EXPECT_THROW(encode(it.ctx, it.vae, it.test.random({1, 1, 8, 8, 4}), {}), Error);
  EXPECT_THROW(encode(it.ctx, it.vae, it.test.random({1, 1, 4, 64, 3}), {}), Error);
}

TEST(QwenImageVaeShapes, CancellingBetweenTilesEndsTheRun) {
  TestVae it("cpu");
  int asked = 0;
  const Progress progress = {.cancelled = [&] { return ++asked == 3; }};
  try {
    decode(it.ctx, it.vae, it.test.random({1, 1, 4, 4, it.vae.config.z_dim}), Tiling{16, 16, 8, 8},
           progress);
    FAIL() << "not cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
  EXPECT_EQ(asked, 3);
}

// What the layers ask of the platform, counted where they are called. A tap counts for the frames
// that it sees.
double counted_flop = 0;
Op<LinearArgs> plain_linear = nullptr;
Op<ConvArgs> plain_conv = nullptr;

void counting_linear(Stream& stream, Workspace& workspace, const LinearArgs& args) {
  counted_flop +=
      2.0 * static_cast<double>(args.out.elements()) * static_cast<double>(args.weight.shape()[1]);
  plain_linear(stream, workspace, args);
}

void counting_conv(Stream& stream, Workspace& workspace, const ConvArgs& args) {
  const Shape &out = args.out.shape(), &kernel = args.weight.shape();
  std::int64_t seen = 0;
  for (std::int64_t frame = 0; frame < out[1]; ++frame)
    for (std::int64_t tap = 0; tap < kernel[2]; ++tap) {
      const std::int64_t from = frame * args.stride[0] + tap - args.pad_before[0];
      seen += from >= 0 && from < args.x.shape()[1] ? 1 : 0;
    }
  counted_flop += 2.0 * static_cast<double>(out[0] * out[2] * out[3] * out[4] * seen) *
                  static_cast<double>(kernel[1] * kernel[3] * kernel[4]);
  plain_conv(stream, workspace, args);
}

TEST(QwenImageVaeFlop, AreThoseOfTheOperationsThatRun) {
  TestVae it("cpu");
  OpTable counting = it.ctx.ops;
  plain_linear = counting.linear;
  plain_conv = counting.conv;
  counting.linear = counting_linear;
  counting.conv = counting_conv;
  const Context ctx = {it.ctx, counting, it.ctx.dtype, it.ctx.wide};
  const VaeConfig& c = it.vae.config;
  const auto channels = static_cast<double>(c.base_dim * c.dim_mult.back());
  for (const std::int64_t latent_frames : {1, 3}) {
    const std::int64_t pixel_frames = 1 + 4 * (latent_frames - 1);
    const double attention =
        4 * channels * 6 * 6 * static_cast<double>(latent_frames);  // 2 x 3 latents
    counted_flop = 0;
    decode(ctx, it.vae, it.test.random({1, latent_frames, 2, 3, c.z_dim}), {});
    EXPECT_NEAR(decode_flop(c, latent_frames, 2, 3), counted_flop + attention, 1)
        << latent_frames << " frames";
    counted_flop = 0;
    encode(ctx, it.vae, it.test.random({1, pixel_frames, 16, 24, 3}), {});
    EXPECT_NEAR(encode_flop(c, pixel_frames, 16, 24), counted_flop + attention, 1)
        << pixel_frames << " frames";
  }
}

TEST(QwenImageVaeConfig, NamesTheKeyThatIsWrong) {
  const auto message = [](const char* text) -> std::string {
    try {
      read_vae_config(Json::parse(text, "config.json", ErrorCode::CorruptFile));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::CorruptFile);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message("{}"), "accepted");
  EXPECT_NE(message(R"({"base_dim": 0})").find("base_dim"), std::string::npos);
  EXPECT_NE(message(R"({"dim_mult": []})").find("dim_mult"), std::string::npos);
  EXPECT_NE(message(R"({"dim_mult": [1, 9223372036854775807]})").find("dim_mult"),
            std::string::npos);
  EXPECT_NE(message(R"({"temperal_downsample": [true]})").find("temperal_downsample"),
            std::string::npos);
  EXPECT_NE(message(R"({"z_dim": 8})").find("latents_mean"), std::string::npos);
  EXPECT_NE(message(R"({"latents_std": [0]})").find("latents_std"), std::string::npos);
}

}  // namespace
}  // namespace annulus::qwen_image

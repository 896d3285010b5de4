#include <gtest/gtest.h>

#include "models/qwen_image/test_transformer.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {
namespace {

constexpr double kRounding = 1e-5;  // of values near 4; the reference platform computes in double

const std::filesystem::path kTiny = kGoldens / "qwen_image" / "tiny";
const std::filesystem::path kPlus = kGoldens / "qwen_image_edit" / "tiny_plus_2511";

std::vector<float> predict(const TestTransformer& it, const Conditioning& text,
                           const std::vector<PatchGrid>& grids, const Tensor& latents,
                           const std::vector<double>& timesteps, std::int64_t rows,
                           const Tap& tap = {}) {
  const Prepared prompt = prepare(it.ctx, it.transformer, text, grids);
  return to_host(it.ctx, forward(it.ctx, it.transformer, prompt,
                                 {.latents = latents, .timesteps = timesteps}, rows, tap));
}

Conditioning entry(const TestTransformer& it, const Conditioning& text, std::int64_t i,
                   std::int64_t rows) {
  return {clone(it.ctx.stream, text.embeds.slice(0, i, i + 1).slice(1, 0, rows)),
          {text.lengths[static_cast<std::size_t>(i)]}};
}

class QwenImageTransformer : public testing::TestWithParam<const char*> {};

TEST_P(QwenImageTransformer, BatchOfTwoEqualsTwoBatchesOfOneWithoutTheirPadding) {
  TestTransformer it(kTiny, GetParam());
  const std::vector<PatchGrid> grids = {{1, 3, 5}};
  const Conditioning text = it.text({9, 2}, 9);
  const Tensor latents = it.latents(2, 15);
  const std::vector<float> both = predict(it, text, grids, latents, {0.75, 0.2}, 15);
  for (std::int64_t i = 0; i < 2; ++i) {
    const std::int64_t length = text.lengths[static_cast<std::size_t>(i)];
    const std::vector<float> alone = predict(it, entry(it, text, i, length), grids,
                                             latents.slice(0, i, i + 1), {i == 0 ? 0.75 : 0.2}, 15);
    const auto count = alone.size();
    const auto of_both = std::span(both).subspan(static_cast<std::size_t>(i) * count, count);
    EXPECT_LT(largest_difference(of_both, alone), kRounding) << "entry " << i;
  }
}

TEST_P(QwenImageTransformer, PaddingOfTextChangesNothing) {
  TestTransformer it(kTiny, GetParam());
  const std::vector<PatchGrid> grids = {{1, 2, 3}};
  const Conditioning padded = it.text({4}, 11);
  const Tensor latents = it.latents(1, 6);
  EXPECT_LT(largest_difference(predict(it, padded, grids, latents, {0.5}, 6),
                               predict(it, entry(it, padded, 0, 4), grids, latents, {0.5}, 6)),
            kRounding);
}

TEST_P(QwenImageTransformer, FirstRowsAloneEqualTheFirstRowsOfAll) {
  for (const std::filesystem::path& model : {kTiny, kPlus}) {
    TestTransformer it(model, GetParam());
    const std::vector<PatchGrid> grids = {{1, 2, 2}, {1, 3, 1}};
    const Conditioning text = it.text({5, 3}, 5);
    const Tensor latents = it.latents(2, 7);
    std::vector<float> want;
    const std::vector<float> all = predict(it, text, grids, latents, {0.5, 0.9}, 7);
    const std::size_t row = all.size() / 14;
    for (std::size_t i = 0; i < 2; ++i)
      want.insert(want.end(), all.begin() + static_cast<std::ptrdiff_t>(7 * i * row),
                  all.begin() + static_cast<std::ptrdiff_t>((7 * i + 4) * row));
    EXPECT_LT(largest_difference(predict(it, text, grids, latents, {0.5, 0.9}, 4), want), kRounding)
        << model;
  }
}

TEST_P(QwenImageTransformer, TapsDoNotChangeThePrediction) {
  TestTransformer it(kPlus, GetParam());
  const std::vector<PatchGrid> grids = {{1, 2, 2}, {1, 1, 3}};
  const Conditioning text = it.text({3}, 3);
  const Tensor latents = it.latents(1, 7);
  int taps = 0;
  const Tap tap = [&](std::string_view, const Tensor&) { ++taps; };
  EXPECT_LT(largest_difference(predict(it, text, grids, latents, {0.4}, 4, tap),
                               predict(it, text, grids, latents, {0.4}, 4)),
            kRounding);
  EXPECT_EQ(taps, 5 + 2 * it.transformer.config.num_layers + 1);
}

TEST_P(QwenImageTransformer, ConditionPicturesAreModulatedAsAtTimestepZero) {
  TestTransformer it(kPlus, GetParam());
  const Conditioning text = it.text({3}, 3);
  const Tensor latents = it.latents(1, 6);
  // At timestep 0 both kinds of rows are modulated alike, so it does not matter where one ends.
  const std::vector<float> zero = predict(it, text, {{1, 2, 1}, {1, 2, 2}}, latents, {0.0}, 6);
  TestTransformer plain(kPlus, GetParam());
  plain.transformer.config.zero_cond_t = false;
  EXPECT_LT(
      largest_difference(zero, predict(plain, text, {{1, 2, 1}, {1, 2, 2}}, latents, {0.0}, 6)),
      kRounding);
  const std::vector<float> late = predict(it, text, {{1, 2, 1}, {1, 2, 2}}, latents, {0.9}, 6);
  EXPECT_GT(
      largest_difference(late, predict(plain, text, {{1, 2, 1}, {1, 2, 2}}, latents, {0.9}, 6)),
      100 * kRounding);
}

INSTANTIATE_TEST_SUITE_P(Platforms, QwenImageTransformer, testing::Values("reference", "cpu"),
                         [](const auto& test) { return std::string(test.param); });

TEST(QwenImageTransformerShapes, ThatDoNotFitAreRefused) {
  TestTransformer it(kTiny);
  const std::vector<PatchGrid> grids = {{1, 2, 2}};
  const Conditioning text = it.text({3}, 3);
  const Prepared prompt = prepare(it.ctx, it.transformer, text, grids);
  const std::vector<double> one = {0.5}, two = {0.5, 0.5};
  const Tensor four = it.latents(1, 4), five = it.latents(1, 5);
  const auto run = [&](const Tensor& latents, const std::vector<double>& timesteps,
                       std::int64_t rows) {
    return forward(it.ctx, it.transformer, prompt, {.latents = latents, .timesteps = timesteps},
                   rows);
  };
  EXPECT_NO_THROW(run(four, one, 4));
  EXPECT_THROW(run(five, one, 4), Error);
  EXPECT_THROW(run(four, two, 4), Error);
  EXPECT_THROW(run(four, one, 5), Error);
  EXPECT_THROW(prepare(it.ctx, it.transformer, it.text({4}, 3), grids), Error);
  EXPECT_THROW(prepare(it.ctx, it.transformer, text, {}), Error);
}

// What the operations of a forward pass are asked to do, counted where they are called.
double counted_flop = 0;
Op<LinearArgs> plain_linear = nullptr;

void counting_linear(Stream& stream, Workspace& workspace, const LinearArgs& args) {
  counted_flop +=
      2.0 * static_cast<double>(args.out.elements()) * static_cast<double>(args.weight.shape()[1]);
  plain_linear(stream, workspace, args);
}

TEST(QwenImageTransformerFlop, AreThoseOfTheProductsAndAttentionThatRun) {
  for (const std::filesystem::path& model : {kTiny, kPlus}) {
    TestTransformer it(model, "cpu");
    OpTable counting = it.ctx.ops;
    plain_linear = counting.linear;
    counting.linear = counting_linear;
    const Context ctx = {it.ctx, counting, it.ctx.dtype, it.ctx.wide};
    const std::vector<PatchGrid> grids = {{1, 2, 3}, {1, 3, 1}};
    const std::vector<std::int64_t> lengths = {5, 5};
    const TransformerConfig& c = it.transformer.config;
    counted_flop = 0;
    const Prepared prompt = prepare(ctx, it.transformer, it.text(lengths, 5), grids);
    EXPECT_DOUBLE_EQ(counted_flop, prepare_flop(c, lengths));
    counted_flop = 0;
    const std::vector<double> timesteps = {0.5, 0.25};
    const Tensor latents = it.latents(2, 9);
    forward(ctx, it.transformer, prompt, {.latents = latents, .timesteps = timesteps}, 6);
    const double seq = 9 + 5, hidden = static_cast<double>(c.hidden());
    const double attention = 2 * 4 * hidden * seq * ((c.num_layers - 1) * seq + 6);
    EXPECT_NEAR(forward_flop(c, 9, lengths, 6), counted_flop + attention, 1e-12 * counted_flop);
  }
}

TEST(QwenImageTransformerConfig, NamesTheKeyThatIsWrong) {
  const auto message = [](const char* text) -> std::string {
    try {
      read_transformer_config(Json::parse(text, "config.json", ErrorCode::CorruptFile));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::CorruptFile);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message("{}"), "accepted");
  EXPECT_EQ(message(R"({"out_channels": null})"), "accepted");
  EXPECT_NE(message(R"({"num_layers": 0})").find("num_layers"), std::string::npos);
  EXPECT_NE(message(R"({"num_layers": 9223372036854775807})").find("num_layers"),
            std::string::npos);
  EXPECT_NE(message(R"({"attention_head_dim": 64})").find("axes_dims_rope"), std::string::npos);
  EXPECT_NE(message(R"({"axes_dims_rope": [16, 56]})").find("axes_dims_rope"), std::string::npos);
  EXPECT_NE(message(R"({"axes_dims_rope": [15, 57, 56]})").find("axes_dims_rope"),
            std::string::npos);
}

}  // namespace
}  // namespace annulus::qwen_image

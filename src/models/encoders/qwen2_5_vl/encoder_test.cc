#include "models/encoders/qwen2_5_vl/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "io/test_folder.h"
#include "models/encoders/qwen2_5_vl/test_encoder.h"
#include "tensor/copy.h"

namespace annulus::qwen2_5_vl {
namespace {

std::filesystem::path tiny() {
  return goldens() / "qwen_image" / "tiny";
}
std::filesystem::path edit() {
  return goldens() / "qwen_image_edit" / "tiny";
}

TokenRows row_of(std::vector<std::int32_t> ids, std::int64_t padding = 0) {
  const auto length = static_cast<std::int64_t>(ids.size());
  ids.resize(ids.size() + static_cast<std::size_t>(padding), 1);
  return {.batch = 1, .seq = length + padding, .ids = std::move(ids), .lengths = {length}};
}

std::vector<float> encoded(const TestEncoder& it, const TokenRows& tokens,
                           const ImageFeatures* images = nullptr) {
  std::vector<const ImageFeatures*> of_rows(static_cast<std::size_t>(tokens.batch), images);
  const Tensor last = encode_tokens(it.ctx, it.encoder, tokens, of_rows, ImagePositions::Grid);
  return to_host(it.ctx, last.slice(1, 0, tokens.lengths.front()));
}

/// Patches of random values for `grids`.
std::vector<float> random_patches(TestEncoder& it, const std::vector<ImageGrid>& grids) {
  std::int64_t patches = 0;
  for (const ImageGrid& grid : grids) patches += grid.patches();
  return to_host(it.ctx, it.test.random({patches, it.encoder.config.vision->patch_values()}));
}

std::map<std::string, Tensor> weights_of(const std::filesystem::path& model, Device& device) {
  const WeightFiles files = WeightFiles::open(model / "text_encoder");
  std::map<std::string, Tensor> tensors;
  for (const std::string_view name : files.names())
    tensors.emplace(name, files.file_of(name).tensor(name, device));
  return tensors;
}

Encoder load_from(TestContext& test, std::map<std::string, Tensor> tensors, const Json& config) {
  const Context ctx = test.context();
  return load(WeightScope::of(std::move(tensors), ctx.device), config, test.attention(), ctx.dtype);
}

Json config_of(const std::filesystem::path& model) {
  return Json::read(model / "text_encoder" / "config.json", ErrorCode::CorruptFile);
}

TEST(Qwen25VlEncoder, PaddingChangesNothing) {
  TestEncoder it(tiny());
  const std::vector<std::int32_t> ids = {5, 7, 11, 2, 800};
  EXPECT_LE(largest_difference(encoded(it, row_of(ids)), encoded(it, row_of(ids, 4))), 1e-6);
}

TEST(Qwen25VlEncoder, LaterTokensDoNotChangeEarlierRows) {
  TestEncoder it(tiny());
  const std::vector<float> shorter = encoded(it, row_of({5, 7, 11}));
  std::vector<float> longer = encoded(it, row_of({5, 7, 11, 2, 800}));
  longer.resize(shorter.size());
  EXPECT_LE(largest_difference(shorter, longer), 1e-6);
}

TEST(Qwen25VlEncoder, AWindowOverAllTokensIsNoWindowAndASmallerOneForgets) {
  TestContext test;
  Json json = config_of(tiny());
  const auto encode = [&](std::int64_t window) {
    json.set("use_sliding_window", true).set("sliding_window", window).set("max_window_layers", 0);
    const Context ctx = test.context();
    Encoder encoder = load_from(test, weights_of(tiny(), ctx.device), json);
    encoder.language.layers.resize(1);  // deeper layers see further back
    return [encoder, ctx](std::int32_t first) {
      const TokenRows tokens = row_of({first, 7, 11, 2, 800});
      return to_host(
          ctx,
          encode_tokens(ctx, encoder, tokens, {}, ImagePositions::Line).select(1, tokens.seq - 1));
    };
  };
  EXPECT_LE(largest_difference(encode(5)(3), encode(1000)(3)), 1e-6);
  EXPECT_GT(largest_difference(encode(5)(3), encode(5)(4)), 1e-3);
  EXPECT_EQ(largest_difference(encode(4)(3), encode(4)(4)), 0);
}

TEST(Qwen25VlEncoder, PicturesTogetherAreEachByItself) {
  TestEncoder it(edit());
  const std::vector<ImageGrid> grids = {{1, 4, 6}, {1, 10, 2}, {1, 2, 2}};
  const std::vector<float> patches = random_patches(it, grids);
  const std::vector<float> together =
      to_host(it.ctx, encode_patches(it.ctx, it.encoder, patches, grids).rows);
  std::vector<float> apart;
  std::size_t at = 0;
  for (const ImageGrid& grid : grids) {
    const std::size_t count =
        static_cast<std::size_t>(grid.patches() * it.encoder.config.vision->patch_values());
    const ImageFeatures one =
        encode_patches(it.ctx, it.encoder, std::span(patches).subspan(at, count), {grid});
    at += count;
    for (const float value : to_host(it.ctx, one.rows)) apart.push_back(value);
  }
  EXPECT_LE(largest_difference(together, apart), 1e-6);
}

TEST(Qwen25VlEncoder, ABatchWithPicturesIsItsRowsOneByOne) {
  TestEncoder it(edit());
  const std::vector<ImageGrid> grids = {{1, 4, 4}};
  const ImageFeatures picture =
      encode_patches(it.ctx, it.encoder, random_patches(it, grids), grids);
  const std::int32_t pad = it.encoder.config.image_token_id;
  const std::vector<std::int32_t> first = {1, pad, pad, pad, pad, 2, 3}, second = {9, 8};
  TokenRows both{.batch = 2, .seq = 7, .ids = first, .lengths = {7, 2}};
  both.ids.insert(both.ids.end(), {9, 8, 0, 0, 0, 0, 0});
  const std::vector<const ImageFeatures*> of_rows = {&picture, nullptr};
  const Tensor last = encode_tokens(it.ctx, it.encoder, both, of_rows, ImagePositions::Grid);
  EXPECT_LE(
      largest_difference(to_host(it.ctx, last.select(0, 0)), encoded(it, row_of(first), &picture)),
      1e-6);
  EXPECT_LE(largest_difference(to_host(it.ctx, last.select(0, 1).slice(0, 0, 2)),
                               encoded(it, row_of(second))),
            1e-6);
}

TEST(Qwen25VlEncoder, BothWaysOfNamingGiveTheSameModel) {
  TestEncoder hub(tiny());
  std::map<std::string, Tensor> renamed;
  for (auto& [name, tensor] : weights_of(tiny(), hub.ctx.device)) {
    if (name.starts_with("model."))
      renamed.emplace("model.language_model." + name.substr(6), tensor);
    else
      renamed.emplace(name.starts_with("visual.") ? "model." + name : name, tensor);
  }
  TestEncoder other(tiny());
  other.encoder = load_from(other.test, std::move(renamed), config_of(tiny()));
  ASSERT_TRUE(other.encoder.visual);
  const TokenRows tokens = row_of({1, 2, 3});
  EXPECT_EQ(encoded(hub, tokens), encoded(other, tokens));
}

TEST(Qwen25VlEncoder, ATextOnlyCheckpointEncodesTextAndRefusesPictures) {
  TestEncoder it(tiny());
  const std::vector<float> whole = encoded(it, row_of({1, 2, 3}));
  std::map<std::string, Tensor> text = weights_of(tiny(), it.ctx.device);
  std::erase_if(text, [](const auto& entry) { return entry.first.starts_with("visual."); });
  it.encoder = load_from(it.test, std::move(text), config_of(tiny()));
  EXPECT_EQ(encoded(it, row_of({1, 2, 3})), whole);
  error_of(ErrorCode::Unsupported, [&] {
    encode_patches(it.ctx, it.encoder, std::vector<float>(4 * 1176), {{1, 2, 2}});
  });
}

TEST(Qwen25VlEncoder, NotANumberInTheWeightsIsNamedAsSuch) {
  for (const char* name : {"model.layers.1.mlp.up_proj.weight", "visual.blocks.2.attn.qkv.bias"}) {
    TestContext test;
    const Context ctx = test.context();
    std::map<std::string, Tensor> tensors = weights_of(tiny(), ctx.device);
    Tensor broken = clone(ctx.stream, tensors.at(name));
    broken.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
    tensors.at(name) = broken;
    const Encoder encoder = load_from(test, std::move(tensors), config_of(tiny()));
    const std::string message = error_of(ErrorCode::NonFinite, [&] {
      encode_patches(ctx, encoder, std::vector<float>(4 * 1176, 0.5f), {{1, 2, 2}});
      encode_tokens(ctx, encoder, row_of({1, 2, 3}), {}, ImagePositions::Line);
    });
    EXPECT_NE(message.find("text encoder"), std::string::npos) << message;
  }
}

TEST(Qwen25VlEncoder, WeightsThatDoNotFitTheConfigAreRefused) {
  TestContext test;
  const Context ctx = test.context();
  const auto refused = [&](const Json& config, std::map<std::string, Tensor> tensors) {
    return error_of(ErrorCode::CorruptFile, [&] { load_from(test, std::move(tensors), config); });
  };
  Json more_layers = config_of(tiny());
  more_layers.set("num_hidden_layers", 4);
  EXPECT_NE(refused(more_layers, weights_of(tiny(), ctx.device)).find("layers.3"),
            std::string::npos);
  Json fewer_layers = config_of(tiny());
  fewer_layers.set("num_hidden_layers", 2);
  EXPECT_NE(refused(fewer_layers, weights_of(tiny(), ctx.device)).find("layers.2"),
            std::string::npos);
  Json wider = config_of(tiny());
  wider.set("intermediate_size", 97);
  EXPECT_NE(refused(wider, weights_of(tiny(), ctx.device)).find("proj"), std::string::npos);
}

TEST(Qwen25VlEncoder, TokensThatContradictPicturesOrTheVocabularyAreRefused) {
  TestEncoder it(edit());
  const std::vector<ImageGrid> grids = {{1, 4, 4}};
  const ImageFeatures picture =
      encode_patches(it.ctx, it.encoder, random_patches(it, grids), grids);
  const std::int32_t pad = it.encoder.config.image_token_id;
  for (const auto& ids :
       {std::vector<std::int32_t>{pad, pad, pad}, {1, 2}, std::vector<std::int32_t>(6, pad)})
    for (const ImagePositions positions : {ImagePositions::Grid, ImagePositions::Line}) {
      const std::vector<const ImageFeatures*> of_rows = {&picture};
      error_of(ErrorCode::InvalidRequest,
               [&] { encode_tokens(it.ctx, it.encoder, row_of(ids), of_rows, positions); });
    }
  error_of(ErrorCode::InvalidRequest, [&] { encoded(it, row_of({100000})); });
  error_of(ErrorCode::InvalidRequest,
           [&] { encoded(it, row_of(std::vector<std::int32_t>(5000, 1))); });
  error_of(ErrorCode::InvalidRequest, [&] {
    encode_patches(it.ctx, it.encoder, std::vector<float>(3 * 1176), {{1, 2, 2}});
  });
}

TEST(Qwen25VlEncoder, OperationsAreThoseOfTheShapes) {
  TestEncoder it(tiny());
  const TextConfig& text = it.encoder.config.text;
  const std::vector<std::int64_t> lengths = {3};
  // Per layer and token 2 (64 x 64 + 2 x 64 x 32 + 64 x 64 + 3 x 64 x 96); 6 pairs of q and k.
  EXPECT_EQ(language_flop(text, lengths), 3 * (3 * 2 * (3 * 4096 + 3 * 6144) + 6 * 4 * 64.0));
  const std::vector<std::int64_t> twice = {3, 3};
  EXPECT_EQ(language_flop(text, twice), 2 * language_flop(text, lengths));
  const std::vector<ImageGrid> one = {{1, 4, 6}}, two = {{1, 4, 6}, {1, 4, 6}};
  EXPECT_GT(vision_flop(it.encoder, one), 0);
  EXPECT_EQ(vision_flop(it.encoder, two), 2 * vision_flop(it.encoder, one));
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

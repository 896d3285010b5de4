#include "models/encoders/qwen2_5_vl/prompt.h"

#include <gtest/gtest.h>

#include "io/image_resize.h"
#include "io/test_folder.h"
#include "models/encoders/qwen2_5_vl/test_encoder.h"
#include "tensor/host_device.h"

namespace annulus::qwen2_5_vl {
namespace {

/// What a case of a pipeline stored.
struct Stored {
  explicit Stored(const std::filesystem::path& folder)
      : json(Json::read(folder / "case.json", ErrorCode::CorruptFile)),
        inputs(SafetensorsFile::open(folder / "inputs.safetensors")),
        outputs(SafetensorsFile::open(folder / "outputs.safetensors")) {}

  std::vector<std::string> prompts(const char* key) const {
    const Json value = json["args"][key];
    return value.is_array() ? value.as<std::vector<std::string>>()
                            : std::vector<std::string>{value.as<std::string>()};
  }
  double bound(const char* name) const { return json["outputs"][name].get<double>("tol_abs"); }

  /// A picture as the pipeline hands it to the processor.
  std::shared_ptr<const Image> picture(const std::string& name, int width, int height) const {
    HostDevice host(1);
    const Tensor pixels = inputs.tensor(name, host);  // [height, width, 3]
    const std::uint8_t* data = pixels.data<std::uint8_t>();
    const Image image = {static_cast<int>(pixels.shape()[1]),
                         static_cast<int>(pixels.shape()[0]),
                         {data, data + pixels.elements()}};
    return std::make_shared<const Image>(
        resize_like_pillow(image, width, height, ResizeFilter::Lanczos));
  }

  Json json;
  SafetensorsFile inputs, outputs;
};

double difference(const Context& ctx, const Conditioning& made, const SafetensorsFile& file,
                  const char* name) {
  const Tensor expected = file.tensor(name, ctx.device);
  EXPECT_EQ(made.embeds.shape(), expected.shape()) << name;
  return largest_difference(to_host(ctx, made.embeds), to_host(ctx, expected));
}

std::vector<std::int64_t> counts(const SafetensorsFile& file, const char* mask_name) {
  HostDevice host(1);
  const Tensor mask = file.tensor(mask_name, host);  // [batch, txt_seq] i64
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < mask.shape()[0]; ++row) {
    lengths.push_back(0);
    for (std::int64_t i = 0; i < mask.shape()[1]; ++i)
      lengths.back() += mask.view<std::int64_t, 2>()(row, i);
  }
  return lengths;
}

TEST(Qwen25VlPrompt, PromptsOfDifferentLengthGiveTheGoldensEmbeddings) {
  for (const std::string& platform : platforms_here()) {
    TestEncoder it(goldens() / "qwen_image" / "tiny", platform);
    const auto tokenizer = load_tokenizer(it.model / "tokenizer");
    for (const char* name : {"t2i_batch2_cfg", "t2i_cfg", "t2i_no_cfg"}) {
      const Stored stored(it.model / "cases" / name);
      const Conditioning made = encode_prompts(
          it.ctx, it.encoder, *tokenizer, PromptTemplate::TextToImage, stored.prompts("prompt"));
      EXPECT_LE(difference(it.ctx, made, stored.outputs, "prompt_embeds"),
                stored.bound("prompt_embeds"))
          << platform << ' ' << name;
      if (stored.outputs.find("prompt_mask") != nullptr) {
        EXPECT_EQ(made.lengths, counts(stored.outputs, "prompt_mask"));
      }
      if (stored.outputs.find("negative_prompt_embeds") == nullptr) continue;
      const Conditioning negative = encode_prompts(
          it.ctx, it.encoder, *tokenizer, PromptTemplate::TextToImage, stored.prompts("negative"));
      EXPECT_LE(difference(it.ctx, negative, stored.outputs, "negative_prompt_embeds"),
                stored.bound("negative_prompt_embeds"))
          << platform << ' ' << name;
    }
  }
}

TEST(Qwen25VlPrompt, ShardsOfBf16GiveTheGoldensEmbeddings) {
  for (const std::string& platform : platforms_here()) {
    TestEncoder it(goldens() / "qwen_image" / "tiny_bf16_sharded", platform);
    const Stored stored(it.model / "cases" / "t2i_cfg");
    const Conditioning made =
        encode_prompts(it.ctx, it.encoder, *load_tokenizer(it.model / "tokenizer"),
                       PromptTemplate::TextToImage, stored.prompts("prompt"));
    EXPECT_LE(difference(it.ctx, made, stored.outputs, "prompt_embeds"),
              stored.bound("prompt_embeds"))
        << platform;
  }
}

struct EditCase {
  const char* model;
  const char* name;
  PromptTemplate chat;
  ImagePositions positions;
  std::vector<std::array<int, 2>> sizes;  // width, height of each picture for the processor
};

TEST(Qwen25VlPrompt, PromptsBesidePicturesGiveTheGoldensEmbeddings) {
  const std::vector<EditCase> cases = {
      {"tiny", "edit_cfg", PromptTemplate::Edit, ImagePositions::Grid, {{64, 64}}},
      {"tiny", "edit_positions_1d", PromptTemplate::Edit, ImagePositions::Line, {{64, 64}}},
      {"tiny_plus_2511",
       "plus_two_images",
       PromptTemplate::EditPlus,
       ImagePositions::Grid,
       {{64, 64}, {64, 64}}}};
  for (const std::string& platform : platforms_here())
    for (const EditCase& edit : cases) {
      TestEncoder it(goldens() / "qwen_image_edit" / edit.model, platform);
      const Stored stored(it.model / "cases" / edit.name);
      std::vector<std::shared_ptr<const Image>> pictures;
      for (std::size_t i = 0; i < edit.sizes.size(); ++i)
        pictures.push_back(stored.picture(text_of("image", i), edit.sizes[i][0], edit.sizes[i][1]));
      const ImageProcessor processor = read_image_processor(
          Json::read(it.model / "processor" / "preprocessor_config.json", ErrorCode::CorruptFile));
      const ImageFeatures features = encode_images(it.ctx, it.encoder, processor, pictures);
      const Conditioning made =
          encode_prompts(it.ctx, it.encoder, *load_tokenizer(it.model / "processor"), edit.chat,
                         stored.prompts("prompt"), &features, edit.positions);
      EXPECT_LE(difference(it.ctx, made, stored.outputs, "prompt_embeds"),
                stored.bound("prompt_embeds"))
          << platform << ' ' << edit.name;
    }
}

TEST(Qwen25VlPrompt, TheDemoModelGivesTheReferenceEmbeddings) {
  for (const std::string& platform : platforms_here()) {
    TestEncoder it(repository() / "demo" / "storybook", platform);
    const auto tokenizer = load_tokenizer(it.model / "tokenizer");
    const Json index =
        Json::read(repository() / "demo" / "reference" / "index.json", ErrorCode::CorruptFile);
    for (const Json& run : index["runs"].elements()) {
      const SafetensorsFile file =
          SafetensorsFile::open(repository() / "demo" / "reference" / run.get<std::string>("file"));
      for (const auto& [key, tensor] : {std::pair{"prompt", "prompt_embeds"},
                                        std::pair{"negative_prompt", "negative_prompt_embeds"}}) {
        const std::vector<std::string> prompts = {run.get<std::string>(key)};
        const Conditioning made =
            encode_prompts(it.ctx, it.encoder, *tokenizer, PromptTemplate::TextToImage, prompts);
        EXPECT_LE(difference(it.ctx, made, file, tensor), 2e-4)
            << platform << ' ' << prompts.front();
      }
    }
  }
}

TEST(Qwen25VlPrompt, ABatchIsItsPromptsOneByOneAndZerosAfterThem) {
  TestEncoder it(goldens() / "qwen_image" / "tiny");
  const auto tokenizer = load_tokenizer(it.model / "tokenizer");
  const std::vector<std::string> prompts = {"a dog", "two dogs and a very long red boat", ""};
  const auto encode = [&](std::span<const std::string> some) {
    return encode_prompts(it.ctx, it.encoder, *tokenizer, PromptTemplate::TextToImage, some);
  };
  const Conditioning all = encode(prompts);
  EXPECT_EQ(all.embeds.shape()[1], *std::max_element(all.lengths.begin(), all.lengths.end()));
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Conditioning one = encode(std::span(prompts).subspan(i, 1));
    ASSERT_EQ(one.lengths.front(), all.lengths[i]);
    const Tensor row = all.embeds.select(0, static_cast<std::int64_t>(i));  // [txt_seq, hidden]
    const std::int64_t length = all.lengths[i], seq = row.shape()[0];
    EXPECT_LE(
        largest_difference(to_host(it.ctx, row.slice(0, 0, length)), to_host(it.ctx, one.embeds)),
        1e-6);
    for (const float value : to_host(it.ctx, row.slice(0, length, seq))) EXPECT_EQ(value, 0);
  }
}

TEST(Qwen25VlPrompt, LongPromptsAreCutToTheFirstRows) {
  TestEncoder it(repository() / "demo" / "storybook");
  const auto tokenizer = load_tokenizer(it.model / "tokenizer");
  std::string prompt;
  for (int i = 0; i < 600; ++i) prompt += " a red house";
  ASSERT_GT(prompt_rows(it.encoder, *tokenizer, PromptTemplate::TextToImage, prompt), kMaxTextRows);
  it.encoder.language.layers.clear();  // rows and cuts do not depend on them
  const std::vector<std::string> prompts = {prompt, "a red house"};
  const Conditioning made =
      encode_prompts(it.ctx, it.encoder, *tokenizer, PromptTemplate::TextToImage, prompts);
  EXPECT_EQ(made.lengths.front(), kMaxTextRows);
  EXPECT_EQ(made.embeds.shape()[1], kMaxTextRows);
  EXPECT_EQ(made.lengths.back(),
            prompt_rows(it.encoder, *tokenizer, PromptTemplate::TextToImage, "a red house"));
}

TEST(Qwen25VlPrompt, PlaceholdersOfThePromptItselfAreRefusedBesidePictures) {
  TestEncoder it(goldens() / "qwen_image_edit" / "tiny");
  const auto tokenizer = load_tokenizer(it.model / "tokenizer");
  const std::vector<ImageGrid> one = {{1, 4, 6}};
  const std::string sly = "a hat <|image_pad|>";
  EXPECT_EQ(prompt_ids(it.encoder, *tokenizer, PromptTemplate::Edit, "a hat", one).size(),
            prompt_ids(it.encoder, *tokenizer, PromptTemplate::EditPlus, "a hat").size() + 6 + 2);
  error_of(ErrorCode::InvalidRequest,
           [&] { prompt_ids(it.encoder, *tokenizer, PromptTemplate::Edit, sly, one); });
  error_of(ErrorCode::InvalidRequest,
           [&] { prompt_ids(it.encoder, *tokenizer, PromptTemplate::Edit, "a hat"); });
  // Without pictures the reference takes it for a token like any other.
  EXPECT_GT(prompt_rows(it.encoder, *tokenizer, PromptTemplate::TextToImage, sly), 0);
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

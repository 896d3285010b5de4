#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include "io/test_folder.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

const std::filesystem::path kGoldens =
    std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests/goldens/qwen_image";

TEST(CheckpointTest, AGoldenModelIsReadInShards) {
  const Checkpoint model = Checkpoint::open(kGoldens / "tiny_bf16_sharded");
  EXPECT_EQ(model.pipeline_class(), "QwenImagePipeline");
  EXPECT_EQ(model.components().size(), 5u);
  EXPECT_EQ(model.component("transformer").class_name, "QwenImageTransformer2DModel");
  EXPECT_EQ(model.component("text_encoder").library, "transformers");
  EXPECT_EQ(model.config("transformer").get<int>("num_layers"), 2);
  EXPECT_EQ(model.config("scheduler").get<std::string>("_class_name"),
            "FlowMatchEulerDiscreteScheduler");
  EXPECT_EQ(model.weights_dtype("transformer"), DType::BF16);
  EXPECT_EQ(model.weight_files("text_encoder").files().size(), 3u);
  EXPECT_EQ(model.weight_files("vae").files().size(), 1u);

  HostDevice device(1);
  const WeightScope w = model.weights("transformer", device);
  EXPECT_EQ((w / "transformer_blocks.0.attn.to_q").get("weight", Shape{48, 48}).dtype(),
            DType::BF16);
  EXPECT_EQ(device.memory().in_use, 0u);
  EXPECT_TRUE(model.file("tokenizer", "tokenizer.json").is_absolute());
  EXPECT_FALSE(model.find_file("tokenizer", "none.json"));
}

TEST(CheckpointTest, WhatIsMissingIsNamed) {
  const TestFolder folder;
  EXPECT_EQ(error_of(ErrorCode::NotFound, [&] { Checkpoint::open(folder.path() / "no"); }),
            "model: wanted a folder, found none (" + (folder.path() / "no").string() + ")");
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { Checkpoint::open(folder.path()); }),
            "model: wanted model_index.json, found none (" + folder.path().string() + ")");
  folder.write(
      "model_index.json",
      R"({"_class_name": "P", "vae": ["diffusers", "V"], "transformer_2": [null, null], "boundary_ratio": 0.5, "pair": [1, 2]})");
  const Checkpoint model = Checkpoint::open(folder.path());
  EXPECT_TRUE(model.has_component("vae"));
  EXPECT_FALSE(model.has_component("transformer_2"));
  EXPECT_FALSE(model.has_component("pair"));
  EXPECT_EQ(model.index().get<double>("boundary_ratio"), 0.5);
  const std::string in_index = " (" + (folder.path() / "model_index.json").string() + ")";
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { model.component("transformer"); }),
            "component: wanted transformer, found vae" + in_index);
  const std::string in_vae = " (" + (folder.path() / "vae").string() + ")";
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { model.config("vae"); }),
            "vae: wanted config.json or its like, found none" + in_vae);
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { model.file("vae", "x.txt"); }),
            "vae: wanted the file x.txt, found none" + in_vae);
  EXPECT_EQ(error_of(ErrorCode::CorruptFile, [&] { model.weight_files("vae"); }),
            "weights: wanted a component's folder, found none" + in_vae);
}

TEST(CheckpointTest, AnIndexThatLiesIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"_class_name": 1})", R"({"_class_name": "P", "..": ["a", "b"]})",
        R"({"_class_name": "P", "a/b": ["a", "b"]})",
        R"({"_class_name": "P", "a": ["a", "b"], "a": ["a", "b"]})"}) {
    const TestFolder folder;
    folder.write("model_index.json", text);
    const std::string what =
        error_of(ErrorCode::CorruptFile, [&] { Checkpoint::open(folder.path()); });
    EXPECT_NE(what.find("model_index.json"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace annulus

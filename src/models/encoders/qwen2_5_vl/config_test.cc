#include "models/encoders/qwen2_5_vl/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "io/test_folder.h"

namespace annulus::qwen2_5_vl {
namespace {

Json golden_config(const char* model) {
  return Json::read(std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests" / "goldens" / model /
                        "text_encoder" / "config.json",
                    ErrorCode::CorruptFile);
}

/// The flat config of a golden with one member of the text part replaced.
std::string refusal(std::string_view key, const Json& value) {
  Json json = golden_config("qwen_image/tiny");
  json.set(key, value);
  const Json named = Json::parse(json.dump(), "config.json", ErrorCode::CorruptFile);
  return error_of(ErrorCode::CorruptFile, [&] { read_config(named); });
}

std::string vision_refusal(std::string_view key, const Json& value) {
  Json json = golden_config("qwen_image/tiny");
  Json vision = json["vision_config"];
  vision.set(key, value);
  return refusal("vision_config", vision);
}

TEST(Qwen25VlConfig, FlatAndNestedFilesOfOneModelSayTheSame) {
  const Config flat = read_config(golden_config("qwen_image/tiny"));
  const Config nested = read_config(golden_config("qwen_image/tiny_bf16_sharded"));
  for (const Config* config : {&flat, &nested}) {
    EXPECT_EQ(config->text.hidden_size, 64);
    EXPECT_EQ(config->text.head_dim, 16);
    EXPECT_EQ(config->text.num_key_value_heads, 2);
    EXPECT_EQ(config->text.num_hidden_layers, 3);
    EXPECT_EQ(config->text.rope_theta, 1e6);
    EXPECT_EQ(config->text.mrope_section, (std::vector<std::int64_t>{2, 3, 3}));
    EXPECT_EQ(config->text.sliding_window, (std::vector<std::int64_t>{0, 0, 0}));
    EXPECT_EQ(config->image_token_id, 825);
    ASSERT_TRUE(config->vision);
    EXPECT_EQ(config->vision->full_attention, (std::vector<bool>{false, true, false}));
    EXPECT_EQ(config->vision->window(), 2);
  }
}

TEST(Qwen25VlConfig, TheLastLayersHaveAWindowWhereTheFileUsesOne) {
  Json json = golden_config("qwen_image/tiny");
  json.set("use_sliding_window", true).set("sliding_window", 7).set("max_window_layers", 2);
  EXPECT_EQ(read_config(json).text.sliding_window, (std::vector<std::int64_t>{0, 0, 7}));
  json.set("layer_types", Json::array({"sliding_attention", "full_attention", "full_attention"}));
  EXPECT_EQ(read_config(json).text.sliding_window, (std::vector<std::int64_t>{7, 0, 0}));
}

TEST(Qwen25VlConfig, WhatCannotBeIsRefusedWithKeyAndFile) {
  EXPECT_NE(refusal("num_attention_heads", 0).find("num_attention_heads: wanted"),
            std::string::npos);
  EXPECT_NE(refusal("num_hidden_layers", 1000000000).find("(config.json)"), std::string::npos);
  EXPECT_NE(refusal("hidden_size", 66).find("hidden_size: wanted a multiple of"),
            std::string::npos);
  EXPECT_NE(refusal("num_key_value_heads", 3).find("num_attention_heads"), std::string::npos);
  EXPECT_NE(refusal("vocab_size", -1).find("vocab_size"), std::string::npos);
  EXPECT_NE(refusal("intermediate_size", "many").find("intermediate_size"), std::string::npos);
  EXPECT_NE(refusal("rms_norm_eps", -1e-6).find("rms_norm_eps"), std::string::npos);
  EXPECT_NE(refusal("rope_theta", 0).find("rope_theta"), std::string::npos);
  EXPECT_NE(refusal("hidden_act", "tanh").find("hidden_act"), std::string::npos);
  EXPECT_NE(refusal("head_dim", 8).find("head_dim"), std::string::npos);
  const auto rope = [](const Json& sections, const char* type) {
    return Json::object({{"mrope_section", sections}, {"rope_type", type}});
  };
  EXPECT_NE(refusal("rope_scaling", rope(Json::array({2, 3, 4}), "default")).find("mrope_section"),
            std::string::npos);
  EXPECT_NE(refusal("rope_scaling", rope(Json::array({-2, 5, 5}), "default")).find("mrope_section"),
            std::string::npos);
  EXPECT_NE(refusal("rope_scaling", rope(Json::array({2, 3, 3}), "yarn")).find("yarn"),
            std::string::npos);
  EXPECT_NE(refusal("layer_types", Json::array({"full_attention"})).find("layer_types"),
            std::string::npos);
  EXPECT_NE(vision_refusal("num_heads", 0).find("vision_config.num_heads"), std::string::npos);
  EXPECT_NE(vision_refusal("num_heads", 16).find("vision_config.hidden_size"), std::string::npos);
  EXPECT_NE(vision_refusal("window_size", 27).find("window_size"), std::string::npos);
  EXPECT_NE(vision_refusal("patch_size", 1 << 20).find("patch_size"), std::string::npos);
  EXPECT_NE(vision_refusal("out_hidden_size", 65).find("out_hidden_size"), std::string::npos);
  EXPECT_NE(vision_refusal("depth", -3).find("depth"), std::string::npos);
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

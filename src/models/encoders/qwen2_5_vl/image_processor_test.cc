#include "models/encoders/qwen2_5_vl/image_processor.h"

#include <gtest/gtest.h>

#include <array>

#include "io/test_folder.h"

namespace annulus::qwen2_5_vl {
namespace {

TEST(Qwen25VlImageProcessor, SizesAreThoseOfTheReference) {
  // height, width, patch_size * merge_size, min_pixels, max_pixels -> height, width; from
  // transformers 5.23, smart_resize.
  constexpr std::array<std::array<std::int64_t, 7>, 20> kCases = {{
      {1, 1, 28, 3136, 1003520, 56, 56},
      {14, 14, 12, 3136, 1003520, 60, 60},
      {42, 70, 28, 3136, 50176, 56, 56},
      {42, 70, 12, 3136, 50176, 48, 72},
      {70, 42, 28, 100, 50176, 56, 56},
      {70, 42, 12, 100, 50176, 72, 48},
      {1024, 1024, 28, 3136, 50176, 224, 224},
      {1024, 1024, 12, 3136, 50176, 216, 216},
      {384, 384, 28, 3136, 12845056, 392, 392},
      {384, 384, 12, 3136, 12845056, 384, 384},
      {13, 2600, 28, 3136, 50176, 28, 812},
      {13, 2600, 12, 3136, 50176, 12, 2604},
      {1000, 333, 28, 200704, 200704, 756, 252},
      {1000, 333, 12, 200704, 200704, 768, 252},
      {97, 4999, 28, 3136, 1003520, 84, 5012},
      {97, 4999, 12, 3136, 1003520, 96, 5004},
      {7777, 5555, 28, 3136, 12845056, 4228, 3024},
      {7777, 5555, 12, 3136, 12845056, 4236, 3024},
      {28, 5600, 28, 3136, 50176, 28, 3164},
      {28, 5600, 12, 3136, 50176, 12, 3156},
  }};
  for (const auto& [height, width, factor, least, most, want_height, want_width] : kCases) {
    ImageProcessor processor;
    processor.patch_size = factor / 2;
    processor.min_pixels = least;
    processor.max_pixels = most;
    EXPECT_EQ(processed_size(processor, {height, width}), (PixelSize{want_height, want_width}))
        << height << " x " << width << " by " << factor;
  }
}

TEST(Qwen25VlImageProcessor, PicturesThatAreTooLongAreRefused) {
  const ImageProcessor processor;
  error_of(ErrorCode::InvalidRequest, [&] { processed_size(processor, {10, 2001}); });
  error_of(ErrorCode::InvalidRequest, [&] { processed_size(processor, {0, 10}); });
  ImageProcessor fixed;
  fixed.do_resize = false;
  error_of(ErrorCode::InvalidRequest, [&] { processed_size(fixed, {28, 30}); });
  EXPECT_EQ(processed_size(fixed, {28, 56}), (PixelSize{28, 56}));
}

TEST(Qwen25VlImageProcessor, PatchesComeInTheOrderOfMergedPatchesAndRepeatOverTime) {
  ImageProcessor processor;
  processor.patch_size = 1;
  processor.merge_size = 2;
  processor.temporal_patch_size = 3;
  processor.do_normalize = false;
  processor.rescale_factor = 1;
  std::vector<std::uint8_t> rgb;  // 2 x 4 pixels; channel c of pixel i is 10 i + c
  for (std::uint8_t i = 0; i < 8; ++i)
    for (std::uint8_t channel = 0; channel < 3; ++channel)
      rgb.push_back(static_cast<std::uint8_t>(10 * i + channel));
  std::vector<float> values;
  append_patches(processor, rgb, {2, 4}, values);
  ASSERT_EQ(values.size(), 8u * 9u);
  constexpr std::array<int, 8> kOrder = {0, 1, 4, 5, 2, 3, 6, 7};
  for (std::size_t patch = 0; patch < 8; ++patch)
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (std::size_t frame = 0; frame < 3; ++frame)
        EXPECT_EQ(values[patch * 9 + channel * 3 + frame],
                  static_cast<float>(10 * kOrder[patch] + static_cast<int>(channel)));
}

TEST(Qwen25VlImageProcessor, ValuesAreNormalisedPerChannel) {
  ImageProcessor processor;
  processor.patch_size = processor.merge_size = processor.temporal_patch_size = 1;
  processor.image_mean = {0, 0.5, 1};
  processor.image_std = {1, 0.25, 0.5};
  std::vector<float> values;
  const std::vector<std::uint8_t> rgb = {255, 255, 0};
  append_patches(processor, rgb, {1, 1}, values);
  EXPECT_EQ(values, (std::vector<float>{1, 2, -2}));
}

TEST(Qwen25VlImageProcessor, LimitsMayStandAtTheTopOrWithinSizeAndAllOfItOneLevelDeeper) {
  const auto read = [](const char* text) {
    return read_image_processor(
        Json::parse(text, "preprocessor_config.json", ErrorCode::CorruptFile));
  };
  EXPECT_EQ(read(R"({"min_pixels": 4, "max_pixels": 9})").max_pixels, 9);
  EXPECT_EQ(read(R"({"size": {"shortest_edge": 5, "longest_edge": 8}})").min_pixels, 5);
  EXPECT_EQ(read(R"({"size": {"min_pixels": 6, "max_pixels": 7}})").max_pixels, 7);
  EXPECT_EQ(read(R"({"image_processor": {"patch_size": 6}})").patch_size, 6);
  EXPECT_EQ(read(R"({"min_pixels": 4, "size": {"shortest_edge": 5}})").min_pixels, 4);
  for (const char* text :
       {R"({"patch_size": 0})", R"({"image_std": [1, 0, 1]})", R"({"image_mean": [1, 2]})",
        R"({"resample": 2})", R"({"merge_size": 65})", R"({"max_pixels": 1e300})"})
    EXPECT_NE(error_of(ErrorCode::CorruptFile, [&] { read(text); }).find("preprocessor_config"),
              std::string::npos);
}

}  // namespace
}  // namespace annulus::qwen2_5_vl

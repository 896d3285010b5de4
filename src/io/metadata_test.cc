#include "io/metadata.h"

#include <gtest/gtest.h>

#include "io/image_exif.h"
#include "io/image_test_data.h"
#include "io/test_folder.h"

namespace annulus {
namespace {

const char* const kParameters =
    "a house, \xe7\xb4\x85\xe3\x81\x84 \xf0\x9f\x8f\xa0\nNegative prompt: blurry\nSteps: 20, Seed: "
    "7, Size: 64x32";

TEST(MetadataTest, EveryFormatGivesBackBothTexts) {
  const TestFolder folder;
  const Json json =
      Json::object({{"prompt", "r\xc3\xb4ti \xf0\x9f\x8f\xa0"}, {"seed", std::uint64_t{1} << 63}});
  for (const char* name : {"a.png", "a.jpg", "a.webp"}) {
    ImageOptions options;
    options.text = {kParameters, json.dump()};
    const auto file = write_image(folder.path() / name, smooth_image(20, 11), options);
    const ImageMetadata found = read_metadata(file);
    ASSERT_TRUE(found.json) << name;
    EXPECT_EQ(*found.json, json) << name;
    EXPECT_EQ(found.parameters.value_or(""), kParameters) << name;
    EXPECT_LT(mean_difference(read_image(file), smooth_image(20, 11)), 2) << name;
  }
}

TEST(MetadataTest, LongTextsFitEveryFormat) {
  ImageOptions options;
  const std::string prompt(200000, 'x');
  options.text = {prompt, Json::object({{"prompt", prompt}}).dump()};
  for (const ImageFormat format : {ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Webp}) {
    const ImageMetadata found = metadata_of(encode_image(smooth_image(4, 4), format, options), "x");
    ASSERT_TRUE(found.json);
    EXPECT_EQ(found.json->get<std::string>("prompt"), prompt);
    // A JPEG's EXIF holds 64 KiB.
    EXPECT_EQ(found.parameters.value_or(""),
              format == ImageFormat::Jpeg ? prompt.substr(0, (65533 - 64) / 2) : prompt);
  }
}

TEST(MetadataTest, TextThatIsNotUtf8IsRepaired) {
  ImageOptions options;
  options.text.parameters = "a\xf0";
  for (const ImageFormat format : {ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Webp})
    EXPECT_EQ(
        metadata_of(encode_image(smooth_image(4, 4), format, options), "x").parameters.value_or(""),
        "a\ufffd");
}

TEST(MetadataTest, APictureWithoutTextSaysNothing) {
  for (const char* name :
       {"rgb.png", "colour444.jpg", "lossless.webp", "turned.png", "turned6.jpg"}) {
    const ImageMetadata found = read_metadata(test_images() / name);
    EXPECT_FALSE(found.json);
    EXPECT_FALSE(found.parameters);
  }
  error_of(ErrorCode::NotFound, [] { read_metadata(test_images() / "absent.png"); });
  error_of(ErrorCode::InvalidRequest, [] { read_metadata(test_images() / "resize.json"); });
}

TEST(MetadataTest, DamagedJsonIsAnErrorThatNamesTheFile) {
  ImageOptions options;
  options.text.json = R"({"prompt": )";
  const auto bytes = encode_image(smooth_image(4, 4), ImageFormat::Png, options);
  EXPECT_NE(
      error_of(ErrorCode::InvalidRequest, [&] { metadata_of(bytes, "bad.png"); }).find("bad.png"),
      std::string::npos);
}

TEST(MetadataTest, AnyDamageIsAnErrorOrATextNeverMore) {
  ImageOptions options;
  options.text = {kParameters, R"({"a": 1})"};
  for (const ImageFormat format : {ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Webp}) {
    auto bytes = encode_image(smooth_image(4, 4), format, options);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::byte before = bytes[size];
      for (const int value : {0, 1, 0x7f, 0xff}) {
        bytes[size] = static_cast<std::byte>(value);
        try {
          metadata_of(bytes, "x");
          metadata_of(std::span(bytes).first(size), "x");
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::InvalidRequest) << error.what();
        }
      }
      bytes[size] = before;
    }
  }
}

TEST(MetadataTest, UserCommentsOfOtherProgramsAreRead) {
  // As exiftool writes it: little-endian TIFF, UTF-16 in the same order.
  const std::string tiff(
      "II*\0\x08\0\0\0"
      "\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0"
      "\x01\0\x86\x92\x07\0\x0e\0\0\0\x2c\0\0\0\0\0\0\0"
      "UNICODE\0h\0i\0!\0",
      58);
  EXPECT_EQ(read_exif(std::as_bytes(std::span(tiff))).user_comment.value_or(""), "hi!");
  std::string ascii = tiff;
  ascii.replace(44, 14, std::string("ASCII\0\0\0ascii!", 14));
  EXPECT_EQ(read_exif(std::as_bytes(std::span(ascii))).user_comment.value_or(""), "ascii!");
}

// Ten thousand entries that each lead to the same ten thousand: hours, were all of them followed.
TEST(MetadataTest, AKnotOfExifDirectoriesIsReadOnce) {
  constexpr int kEntries = 10000;
  std::string tiff("MM\0\x2a\0\0\0\x08", 8);
  const std::string pointer("\x87\x69\0\x04\0\0\0\x01\0\0\0\x08", 12),
      comment("\x92\x86\0\x07\0\0\xff\0\0\0\0\x08", 12);
  tiff += {static_cast<char>(2 * kEntries >> 8), static_cast<char>(2 * kEntries & 0xff)};
  for (int i = 0; i < kEntries; ++i) tiff += pointer + comment;
  EXPECT_NO_THROW(read_exif(std::as_bytes(std::span(tiff))));
}

TEST(MetadataTest, ShortExifTextsSurvive) {
  for (const std::string text : {"a", "ab", "abc", "abcd", "abcde"}) {
    const auto exif = make_exif(text, text);
    EXPECT_EQ(read_exif(exif).description.value_or(""), text);
    EXPECT_EQ(read_exif(exif).user_comment.value_or(""), text);
    EXPECT_EQ(read_exif(make_exif("", text)).user_comment.value_or(""), text);
    EXPECT_EQ(read_exif(make_exif(text, "")).description.value_or(""), text);
  }
}

TEST(ParametersTest, WritingAndParsingIsTheIdentity) {
  const GenerationText text{"a house\non a hill: red, blue",
                            "blurry\nugly",
                            {{"Steps", "20"},
                             {"CFG scale", "3.5"},
                             {"Seed", "42"},
                             {"Size", "64x32"},
                             {"Model", "a, b: \"c\""}}};
  EXPECT_EQ(parse_parameters(format_parameters(text)), text);
}

TEST(ParametersTest, TheTextOfTheWebUiIsUnderstood) {
  const GenerationText text = parse_parameters(
      "masterpiece, (cat:1.2)\nBREAK dog\nNegative prompt: low quality\nSteps: 25, Sampler: DPM++ "
      "2M Karras, CFG scale: 7, "
      "Seed: 3735928559, Size: 512x768, Model hash: abc, Model: sd-v1, Denoising strength: 0.4, "
      "Lora hashes: \"x: 1, y: 2\", "
      "Version: v1.6.0");
  EXPECT_EQ(text.prompt, "masterpiece, (cat:1.2)\nBREAK dog");
  EXPECT_EQ(text.negative_prompt, "low quality");
  EXPECT_EQ(text.settings.size(), 10u);
  EXPECT_EQ(text.settings[8], (std::pair<std::string, std::string>("Lora hashes", "x: 1, y: 2")));
  EXPECT_EQ(options_of(text), Json::object({{"prompt", text.prompt},
                                            {"negative_prompt", "low quality"},
                                            {"steps", 25},
                                            {"true_cfg_scale", 7.0},
                                            {"seed", 3735928559u},
                                            {"width", 512},
                                            {"height", 768},
                                            {"model", "sd-v1"},
                                            {"strength", 0.4}}));
}

TEST(ParametersTest, ALastLineThatIsNoListOfSettingsBelongsToThePrompt) {
  EXPECT_EQ(parse_parameters("a cat\nnote: two").prompt, "a cat\nnote: two");
  EXPECT_EQ(parse_parameters("").prompt, "");
  EXPECT_EQ(parse_parameters("Steps: 1, Seed: 2, Size: 3x4").settings.size(), 3u);
  EXPECT_EQ(parse_parameters("a\nSteps: \"1, Seed: 2, Size: 3x4").prompt,
            "a\nSteps: \"1, Seed: 2, Size: 3x4");
  EXPECT_EQ(options_of({"p", "", {{"Steps", "many"}, {"Size", "big"}, {"Seed", "-1"}}}),
            Json::object({{"prompt", "p"}}));
}

}  // namespace
}  // namespace annulus

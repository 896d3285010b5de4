#include "io/image.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <zlib.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "io/image_test_data.h"
#include "io/test_folder.h"

namespace annulus {
namespace {

std::vector<std::string> test_image_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(test_images()))
    if (entry.path().extension() == ".ppm") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ImageTest, PixelsOfEveryKindEqualPillows) {
  const auto names = test_image_names();
  ASSERT_GE(names.size(), 34u);
  for (const std::string& name : names) {
    const Image want = read_ppm(test_images() / (name + ".ppm"));
    const Image got = read_image(test_images() / name);
    EXPECT_EQ(got.width, want.width) << name;
    EXPECT_EQ(got.height, want.height) << name;
    ASSERT_EQ(got.pixels.size(), want.pixels.size()) << name;
    // libjpeg-turbo is the same decoder in another version; colours of 4:2:0 may differ by 1 in
    // some.
    const bool lossy = name.ends_with(".jpg") || name.starts_with("lossy");
    int largest = 0;
    for (std::size_t i = 0; i < want.pixels.size(); ++i)
      largest = std::max(largest, std::abs(got.pixels[i] - want.pixels[i]));
    EXPECT_LE(largest, lossy ? 1 : 0) << name;
  }
}

TEST(ImageTest, LosslessFormatsGiveBackWhatWasWritten) {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 7}, {65, 33}}) {
    const Image image = noise_image(width, height);
    EXPECT_EQ(decode_image(encode_image(image, ImageFormat::Png), "x"), image);
    EXPECT_EQ(decode_image(encode_image(image, ImageFormat::Webp), "x"), image);
  }
}

TEST(ImageTest, LossyFormatsStayCloseAndQualityDecidesHowClose) {
  const Image image = smooth_image(65, 33);
  const auto difference = [&](ImageFormat format, int quality) {
    const ImageOptions options{.quality = quality, .lossless = false};
    return mean_difference(image, decode_image(encode_image(image, format, options), "x"));
  };
  for (const ImageFormat format : {ImageFormat::Jpeg, ImageFormat::Webp}) {
    EXPECT_LT(difference(format, 95), 5);
    EXPECT_LT(difference(format, 95), difference(format, 40));
    EXPECT_LT(difference(format, 40), 20);
  }
}

TEST(ImageTest, EveryTruncationIsRefusedWithTheFileAndAReason) {
  for (const std::string name : {"rgb.png", "rgb_interlaced.png", "palette4.png", "colour444.jpg",
                                 "colour420.jpg", "progressive.jpg", "cmyk.jpg", "lossless.webp",
                                 "lossy.webp", "alpha.webp", "animated.webp"}) {
    const auto bytes = bytes_of_test_image(name);
    // A PNG's last chunks, an end marker and padding may be missing without a pixel lost.
    const std::size_t harmless = name.ends_with(".png") ? 20 : 4;
    for (std::size_t size = 0; size + harmless < bytes.size(); size += size < 64 ? 1 : 13) {
      const std::string what = error_of(ErrorCode::InvalidRequest,
                                        [&] { decode_image(std::span(bytes).first(size), name); });
      EXPECT_NE(what.find(name), std::string::npos) << what;
      EXPECT_NE(what.find("found"), std::string::npos) << what;
      if (::testing::Test::HasFailure())
        FAIL() << name << " cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(ImageTest, DamageIsAnErrorOrAPictureNeverMore) {
  for (const std::string& name : test_image_names()) {
    auto bytes = bytes_of_test_image(name);
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 97) {
      const std::byte before = bytes[at];
      bytes[at] ^= std::byte{0x55};
      try {
        const Image image = decode_image(bytes, name);
        EXPECT_EQ(image.pixels.size(), std::size_t{3} * static_cast<std::size_t>(image.width) *
                                           static_cast<std::size_t>(image.height));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::InvalidRequest) << name << " " << error.what();
      }
      bytes[at] = before;
    }
  }
}

TEST(ImageTest, SizesOverTheLimitsAreRefusedFromTheHeader) {
  for (const char* name : {"rgb.png", "colour444.jpg", "lossless.webp", "animated.webp"}) {
    const auto bytes = bytes_of_test_image(name);
    EXPECT_NE(error_of(ErrorCode::InvalidRequest, [&] { decode_image(bytes, name, {.side = 22}); })
                  .find("found 23 x 17"),
              std::string::npos);
    error_of(ErrorCode::InvalidRequest,
             [&] { decode_image(bytes, name, {.side = 23, .pixels = 23 * 17 - 1}); });
    EXPECT_NO_THROW(decode_image(bytes, name, {.side = 23, .pixels = 23 * 17}));
    error_of(ErrorCode::InvalidRequest,
             [&] { read_image(test_images() / name, {.file_bytes = 50}); });
  }
  // A header that lies: 16000 x 4000 pixels in a file of a few hundred bytes are refused before 192
  // MB are taken.
  auto bytes = bytes_of_test_image("rgb.png");
  const auto put = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i)
      bytes[at + i] = static_cast<std::byte>(value >> (24 - 8 * i) & 0xff);
  };
  put(16, 16000);
  put(20, 4000);
  put(29, static_cast<std::uint32_t>(
              ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data() + 12), 17)));
  EXPECT_NE(error_of(ErrorCode::InvalidRequest, [&] { decode_image(bytes, "liar.png"); })
                .find("wanted data for 16000 x 4000 pixels"),
            std::string::npos);
}

TEST(ImageTest, WhatIsNoPictureIsSaidSo) {
  const TestFolder folder;
  error_of(ErrorCode::NotFound, [&] { read_image(folder.path() / "absent.png"); });
  error_of(ErrorCode::InvalidRequest, [&] { read_image(folder.path()); });
  error_of(ErrorCode::InvalidRequest, [&] { read_image(folder.write("empty.png", "")); });
  const std::string what = error_of(ErrorCode::InvalidRequest,
                                    [&] { read_image(folder.write("a.png", "GIF89a......")); });
  EXPECT_NE(what.find("wanted a PNG, JPEG or WebP file, found another kind"), std::string::npos)
      << what;
}

TEST(ImageTest, TheContentDecidesNotTheEnding) {
  const TestFolder folder;
  const auto file = folder.path() / "really.png";
  std::filesystem::copy(test_images() / "colour444.jpg", file);
  EXPECT_EQ(read_image(file), read_image(test_images() / "colour444.jpg"));
}

TEST(ImageTest, TheEndingDecidesHowAFileIsWritten) {
  const TestFolder folder;
  const Image image = smooth_image(20, 10);
  for (const char* name : {"a.png", "a.PNG", "a.jpg", "a.jpeg", "a.webp"}) {
    const auto written = write_image(folder.path() / name, image);
    EXPECT_EQ(written, folder.path() / name);
    EXPECT_LT(mean_difference(read_image(written), image), 2);
  }
  error_of(ErrorCode::InvalidRequest, [&] { write_image(folder.path() / "a.gif", image); });
  error_of(ErrorCode::InvalidRequest, [&] { write_image(folder.path() / "a", image); });
  error_of(ErrorCode::InvalidRequest,
           [&] { write_image(folder.path() / "none" / "a.png", image); });
  EXPECT_EQ(folder.files(), 5u);  // no remains of the failed ones
}

TEST(ImageTest, WhatAFormatCannotHoldIsRefused) {
  error_of(ErrorCode::InvalidRequest, [] { encode_image({}, ImageFormat::Png); });
  error_of(ErrorCode::InvalidRequest, [] { encode_image({2, 2, {1, 2, 3}}, ImageFormat::Png); });
  error_of(ErrorCode::InvalidRequest,
           [] { encode_image(noise_image(17000, 1), ImageFormat::Webp); });
  error_of(ErrorCode::InvalidRequest,
           [] { encode_image(noise_image(70000, 1), ImageFormat::Jpeg); });
  error_of(ErrorCode::InvalidRequest,
           [] { encode_image(noise_image(2, 1), ImageFormat::Jpeg, {.quality = 0}); });
}

TEST(ImageTest, AFullDiskLeavesNothingBehind) {
  // A limit on file size fails as a full disk does.
  const TestFolder folder;
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  error_of(ErrorCode::StorageFull,
           [&] { write_image(folder.path() / "a.png", noise_image(50, 50)); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(folder.files(), 0u);
}

TEST(ImageTest, NumberedFilesNeverReplaceEachOther) {
  const TestFolder folder;
  const Image image = smooth_image(4, 4);
  const auto file = folder.path() / "a.b.png";
  EXPECT_EQ(write_image(file, image, {}, IfExists::Number), file);
  EXPECT_EQ(write_image(file, image, {}, IfExists::Number), folder.path() / "a.b-2.png");
  EXPECT_EQ(write_image(file, image, {}, IfExists::Replace), file);
  EXPECT_EQ(folder.files(), 2u);
}

TEST(ImageTest, NumberedFilesOfARaceAreAllThere) {
  const TestFolder folder;
  std::vector<std::thread> writers;
  writers.reserve(4);
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k)
        write_image(folder.path() / "a.png", noise_image(5 + i, 1 + k), {}, IfExists::Number);
    });
  for (std::thread& writer : writers) writer.join();
  std::vector<std::pair<int, int>> sizes;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const Image image = read_image(entry.path());
    sizes.emplace_back(image.width, image.height);
  }
  std::sort(sizes.begin(), sizes.end());
  ASSERT_EQ(sizes.size(), 20u);
  EXPECT_EQ(std::unique(sizes.begin(), sizes.end()), sizes.end());
}

}  // namespace
}  // namespace annulus

#include "io/image_resize.h"

#include <gtest/gtest.h>

#include "io/image_test_data.h"
#include "io/json.h"
#include "io/test_folder.h"

namespace annulus {
namespace {

ResizeFilter filter_named(const std::string& name) {
  if (name == "bilinear") return ResizeFilter::Bilinear;
  return name == "bicubic" ? ResizeFilter::Bicubic : ResizeFilter::Lanczos;
}

TEST(ImageResizeTest, BytesEqualPillowsAndTorchvisions) {
  const Json cases = Json::read(test_images() / "resize.json", ErrorCode::CorruptFile);
  ASSERT_GE(cases.size(), 50u);
  for (const Json& one : cases.elements()) {
    const Image source = noise_image(one["from"].at(0).as<int>(), one["from"].at(1).as<int>());
    const int width = one["to"].at(0).as<int>(), height = one["to"].at(1).as<int>();
    const auto name = one.get<std::string>("filter"), like = one.get<std::string>("like");
    const ResizeFilter filter = filter_named(name);
    const Image got = like == "pillow" ? resize_like_pillow(source, width, height, filter)
                                       : resize_like_torchvision(source, width, height, filter);
    EXPECT_EQ(got.width, width);
    EXPECT_EQ(got.height, height);
    EXPECT_EQ(got.pixels, one.get<std::vector<std::uint8_t>>("pixels"))
        << like << " " << name << " " << source.width << "x" << source.height << " to " << width
        << "x" << height;
  }
}

TEST(ImageResizeTest, TheSameSizeChangesNothing) {
  const Image image = noise_image(7, 5);
  for (const ResizeFilter filter :
       {ResizeFilter::Bilinear, ResizeFilter::Bicubic, ResizeFilter::Lanczos})
    EXPECT_EQ(resize_like_pillow(image, 7, 5, filter), image);
  EXPECT_EQ(resize_like_torchvision(image, 7, 5, ResizeFilter::Bicubic), image);
}

TEST(ImageResizeTest, OneColourStaysThatColour) {
  Image image{9, 4, std::vector<std::uint8_t>(108, 255)};
  for (const int side : {1, 3, 40}) {
    const Image got = resize_like_pillow(image, side, side, ResizeFilter::Lanczos);
    EXPECT_EQ(got.pixels, std::vector<std::uint8_t>(got.pixels.size(), 255));
  }
}

TEST(ImageResizeTest, ImpossibleSizesAreRefused) {
  const Image image = noise_image(7, 5);
  error_of(ErrorCode::InvalidRequest,
           [&] { resize_like_pillow(image, 0, 5, ResizeFilter::Lanczos); });
  error_of(ErrorCode::InvalidRequest, [&] {
    resize_like_pillow({3, 3, {}}, 5, 5, ResizeFilter::Lanczos);
  });
  error_of(ErrorCode::InvalidRequest,
           [&] { resize_like_torchvision(image, 5, 5, ResizeFilter::Lanczos); });
}

}  // namespace
}  // namespace annulus

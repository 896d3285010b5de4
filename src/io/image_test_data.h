// For tests: the pictures of tests/images (tools/make_image_tests.py) and ones made up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/image.h"
#include "io/read_file.h"

namespace annulus {

inline std::filesystem::path test_images() {
  return std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests/images";
}

inline std::vector<std::byte> bytes_of_test_image(const std::string& name) {
  return read_file(test_images() / name, std::size_t{1} << 20, ErrorCode::InvalidRequest);
}

/// A .ppm as the script writes it.
inline Image read_ppm(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string kind;
  Image image;
  int most = 0;
  in >> kind >> image.width >> image.height >> most;
  in.get();
  image.pixels.resize(std::size_t{3} * static_cast<std::size_t>(image.width) *
                      static_cast<std::size_t>(image.height));
  in.read(reinterpret_cast<char*>(image.pixels.data()),
          static_cast<std::streamsize>(image.pixels.size()));
  return image;
}

/// Upper bytes of a linear congruential generator: noise that any language can make.
inline Image noise_image(int width, int height) {
  Image image{width, height, {}};
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < std::int64_t{3} * width * height; ++i) {
    state = state * 1664525u + 1013904223u;
    image.pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return image;
}

/// Colours that change slowly: what a picture compressed with loss should keep.
inline Image smooth_image(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>((2 * x + 3 * y + 50 * c) % 200 + 20));
  return image;
}

inline double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    sum += a.pixels[i] > b.pixels[i] ? a.pixels[i] - b.pixels[i] : b.pixels[i] - a.pixels[i];
  return sum / static_cast<double>(a.pixels.size());
}

}  // namespace annulus

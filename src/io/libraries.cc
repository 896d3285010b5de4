#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/libraries.h"

#include <cstdio>  // jpeglib.h needs FILE
// clang-format off
#include <jpeglib.h>
// clang-format on
#include <pcre2.h>
#include <png.h>
#include <utf8proc.h>
#include <webp/encode.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace annulus {

namespace {

std::string pcre2_library() {
  std::array<char, 64> text{};  // "10.42 2022-12-11"
  if (pcre2_config(PCRE2_CONFIG_VERSION, nullptr) > static_cast<int>(text.size())) return "unknown";
  pcre2_config(PCRE2_CONFIG_VERSION, text.data());
  const std::string version = text.data();
  return version.substr(0, version.find(' '));
}

std::string jpeg_library() {
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  constexpr int kNumber = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005 is 2.1.5
  return text_of("turbo ", kNumber / 1000000, ".", kNumber / 1000 % 1000, ".", kNumber % 1000);
#else
  return text_of(JPEG_LIB_VERSION / 10);
#endif
}

std::string webp_library() {
  const int number = WebPGetEncoderVersion();  // 0x010204 is 1.2.4
  return text_of(number >> 16, ".", number >> 8 & 0xff, ".", number & 0xff);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> io_libraries() {
  return {{"PCRE2", pcre2_library()},
          {"utf8proc", utf8proc_version()},
          {"libpng", png_get_libpng_ver(nullptr)},
          {"libjpeg", jpeg_library()},
          {"libwebp", webp_library()},
          {"nlohmann-json", text_of(NLOHMANN_JSON_VERSION_MAJOR, ".", NLOHMANN_JSON_VERSION_MINOR,
                                    ".", NLOHMANN_JSON_VERSION_PATCH)}};
}

}  // namespace annulus

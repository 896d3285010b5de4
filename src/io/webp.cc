#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <cstring>
#include <memory>

#include "io/image_codecs.h"
#include "io/image_exif.h"
#include "io/metadata.h"

namespace annulus {
namespace {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* x) const noexcept {
    Free(x);
  }
};

const std::uint8_t* data_of(std::span<const std::byte> bytes) noexcept {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

const char* reason(VP8StatusCode status) noexcept {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "the end of the file";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "no memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a feature that is not known";
    default:
      return "damaged data";
  }
}

/// The first frame of an animation, or a still picture with transparency (whose invisible pixels
/// come out black then, as they do in PIL, which reads every file as an animation).
Image decode_first_frame(const ImageSource& source, int width, int height) {
  using Decoder = std::unique_ptr<WebPAnimDecoder, FreeWith<&WebPAnimDecoderDelete>>;
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const WebPData data = {data_of(source.bytes), source.bytes.size()};
  const Decoder decoder(WebPAnimDecoderNew(&data, &options));
  WebPAnimInfo info;
  std::uint8_t* pixels = nullptr;
  int time_ms = 0;
  const bool ok = decoder && WebPAnimDecoderGetInfo(decoder.get(), &info) != 0 &&
                  static_cast<int>(info.canvas_width) == width &&
                  static_cast<int>(info.canvas_height) == height &&
                  WebPAnimDecoderGetNext(decoder.get(), &pixels, &time_ms) != 0;
  if (!ok) source.fail("a whole WebP file", "damaged or missing data");
  Image image = blank_image(width, height);
  for (std::size_t i = 0; i < image.pixels.size() / 3; ++i)
    std::memcpy(image.pixels.data() + 3 * i, pixels + 4 * i, 3);
  return image;
}

}  // namespace

std::vector<std::byte> webp_with_text(std::vector<std::byte> bytes, const ImageText& text) {
  if (text.parameters.empty() && text.json.empty()) return bytes;
  using Mux = std::unique_ptr<WebPMux, FreeWith<&WebPMuxDelete>>;
  const std::string described = text.json.empty() ? "" : text_of(kJsonKey, ':', text.json);
  const std::vector<std::byte> exif = make_exif(described, text.parameters);
  const WebPData file = {data_of(bytes), bytes.size()}, chunk = {data_of(exif), exif.size()};
  const Mux mux(WebPMuxCreate(&file, 0));
  WebPData whole = {nullptr, 0};
  const bool ok = mux && WebPMuxSetChunk(mux.get(), "EXIF", &chunk, 0) == WEBP_MUX_OK &&
                  WebPMuxAssemble(mux.get(), &whole) == WEBP_MUX_OK;
  const std::unique_ptr<const std::uint8_t, FreeWith<[](const std::uint8_t* p) {
                          WebPFree(const_cast<std::uint8_t*>(p));
                        }>>
      owner(whole.bytes);
  require(ok, ErrorCode::OutOfMemory,
          "picture: wanted a WebP file with its description, found no memory for it");
  const auto* const begin = reinterpret_cast<const std::byte*>(whole.bytes);
  return {begin, begin + whole.size};
}

bool is_webp(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= 12 && std::memcmp(bytes.data(), "RIFF", 4) == 0 &&
         std::memcmp(bytes.data() + 8, "WEBP", 4) == 0;
}

Image decode_webp(const ImageSource& source, const ImageLimits& limits) {
  WebPBitstreamFeatures features;
  const VP8StatusCode header =
      WebPGetFeatures(data_of(source.bytes), source.bytes.size(), &features);
  if (header != VP8_STATUS_OK) source.fail("a WebP file with its header", reason(header));
  source.check_size(features.width, features.height, limits);
  if (features.has_animation != 0 || features.has_alpha != 0)
    return decode_first_frame(source, features.width, features.height);

  Image image = blank_image(features.width, features.height);
  WebPDecoderConfig config;
  WebPInitDecoderConfig(&config);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {image.pixels.data(), 3 * features.width, image.pixels.size()};
  const VP8StatusCode status = WebPDecode(data_of(source.bytes), source.bytes.size(), &config);
  if (status != VP8_STATUS_OK) source.fail("a whole WebP file", reason(status));
  return image;
}

std::vector<std::byte> encode_webp(const Image& image, int quality, bool lossless,
                                   const ImageText& text) {
  require(image.width <= WEBP_MAX_DIMENSION && image.height <= WEBP_MAX_DIMENSION,
          ErrorCode::InvalidRequest, "picture: wanted at most ", WEBP_MAX_DIMENSION,
          " pixels a side for WebP, found ", image.width, " x ", image.height);
  WebPConfig config;
  WebPPicture picture;
  bool ok = WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, static_cast<float>(quality)) != 0 &&
            WebPPictureInit(&picture) != 0;
  require(ok, ErrorCode::Unsupported,
          "picture: wanted libwebp of the version compiled with, found another");
  if (lossless) {
    config.lossless = 1;
    config.quality = 75;  // effort, not quality
  } else {
    config.use_sharp_yuv = 1;  // the format halves the resolution of colour; this keeps edges clean
  }
  picture.use_argb = 1;
  picture.width = image.width;
  picture.height = image.height;
  WebPMemoryWriter memory;
  WebPMemoryWriterInit(&memory);
  const std::unique_ptr<WebPMemoryWriter, FreeWith<&WebPMemoryWriterClear>> memory_owner(&memory);
  const std::unique_ptr<WebPPicture, FreeWith<&WebPPictureFree>> picture_owner(&picture);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &memory;
  ok = WebPPictureImportRGB(&picture, image.pixels.data(), 3 * image.width) != 0 &&
       WebPEncode(&config, &picture) != 0;
  require(ok,
          picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY ? ErrorCode::OutOfMemory
                                                            : ErrorCode::InvalidRequest,
          "picture: wanted a WebP file of ", image.width, " x ", image.height,
          " pixels, found error ", static_cast<int>(picture.error_code), " of libwebp");
  const auto* const begin = reinterpret_cast<const std::byte*>(memory.mem);
  return webp_with_text({begin, begin + memory.size}, text);
}

}  // namespace annulus

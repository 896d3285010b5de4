#include "io/image.h"

#include <algorithm>
#include <cctype>
#include <new>

#include "io/atomic_file.h"
#include "io/image_codecs.h"
#include "io/image_exif.h"
#include "io/image_segments.h"
#include "io/read_file.h"
#include "io/unicode.h"

namespace annulus {

void ImageSource::fail(std::string_view wanted, std::string_view found) const {
  throw Error(ErrorCode::InvalidRequest,
              text_of("picture: wanted ", wanted, ", found ", found, " (", name, ")"));
}

void ImageSource::check_size(std::int64_t width, std::int64_t height,
                             const ImageLimits& limits) const {
  if (width < 1 || height < 1 || width > limits.side || height > limits.side)
    fail(text_of("1 to ", limits.side, " pixels a side"), text_of(width, " x ", height));
  if (width * height > limits.pixels)
    fail(text_of("at most ", limits.pixels, " pixels"), text_of(width, " x ", height));
}

Image blank_image(std::int64_t width, std::int64_t height) {
  Image image{static_cast<int>(width), static_cast<int>(height), {}};
  try {
    image.pixels.resize(static_cast<std::size_t>(3 * width * height));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::OutOfMemory, text_of("picture: wanted memory for ", width, " x ", height,
                                                " pixels, found none"));
  }
  return image;
}

Image read_image(const std::filesystem::path& file, const ImageLimits& limits) {
  const std::vector<std::byte> bytes =
      read_file(file, limits.file_bytes, ErrorCode::InvalidRequest);
  return decode_image(bytes, file.string(), limits);
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                   const ImageLimits& limits) {
  const ImageSource source{bytes, name};
  if (!is_png(bytes) && !is_jpeg(bytes) && !is_webp(bytes))
    source.fail("a PNG, JPEG or WebP file", bytes.empty() ? "an empty one" : "another kind");
  Image image = is_png(bytes)    ? decode_png(source, limits)
                : is_jpeg(bytes) ? decode_jpeg(source, limits)
                                 : decode_webp(source, limits);
  return upright(std::move(image), read_exif(find_segments(bytes).exif).orientation);
}

ImageFormat image_format_of(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".png") return ImageFormat::Png;
  if (ending == ".jpg" || ending == ".jpeg") return ImageFormat::Jpeg;
  if (ending == ".webp") return ImageFormat::Webp;
  throw Error(ErrorCode::InvalidRequest,
              text_of("picture: wanted a name that ends in .png, .jpg, .jpeg or .webp, found '",
                      ending, "' (", file.string(), ")"));
}

std::vector<std::byte> encode_image(const Image& image, ImageFormat format,
                                    const ImageOptions& options) {
  const bool whole = image.width > 0 && image.height > 0 &&
                     image.pixels.size() == std::size_t{3} * static_cast<std::size_t>(image.width) *
                                                static_cast<std::size_t>(image.height);
  require(whole, ErrorCode::InvalidRequest, "picture: wanted width x height x 3 bytes, found ",
          image.width, " x ", image.height, " and ", image.pixels.size(), " bytes");
  require(options.quality >= 1 && options.quality <= 100, ErrorCode::InvalidRequest,
          "quality: wanted 1 to 100, found ", options.quality);
  const ImageText text{replace_invalid_utf8(options.text.parameters),
                       replace_invalid_utf8(options.text.json)};
  switch (format) {
    case ImageFormat::Png:
      return encode_png(image, text);
    case ImageFormat::Jpeg:
      return encode_jpeg(image, options.quality, text);
    case ImageFormat::Webp:
      break;
  }
  return encode_webp(image, options.quality, options.lossless, text);
}

std::filesystem::path write_image(const std::filesystem::path& file, const Image& image,
                                  const ImageOptions& options, IfExists if_exists) {
  const std::vector<std::byte> bytes = encode_image(image, image_format_of(file), options);
  AtomicFile out(file);
  out.write(bytes);
  if (if_exists == IfExists::Number) return out.commit_numbered();
  out.commit();
  return file;
}

}  // namespace annulus

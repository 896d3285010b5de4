#include <cstdio>  // jpeglib.h needs FILE
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "io/image_codecs.h"
#include "io/image_exif.h"
#include "io/metadata.h"

namespace annulus {
namespace {

constexpr int kMaxScans = 200;  // of a progressive file; usual ones have ten. More only cost time
constexpr std::size_t kMaxSegment = 65533;  // bytes of a marker's content

/// libjpeg's error handler and what it found; plain data, so that its jumps skip no destructor.
struct JpegErrors {
  jpeg_error_mgr base{};  // first: libjpeg knows the address of this
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  bool past_end = false;   // the data ended and an end marker was made up
  bool truncated = false;  // and pixels were missing
};

JpegErrors& errors_of(j_common_ptr jpeg) {
  return *reinterpret_cast<JpegErrors*>(jpeg->err);
}

[[noreturn]] void on_error(j_common_ptr jpeg) {
  JpegErrors& errors = errors_of(jpeg);
  jpeg->err->format_message(jpeg, errors.message.data());
  std::longjmp(errors.jump, 1);
}

void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;  // a trace
  JpegErrors& errors = errors_of(jpeg);
  if (errors.past_end && jpeg->err->msg_code == JWRN_HIT_MARKER) errors.truncated = true;
}

void on_output(j_common_ptr) {}

void prepare(JpegErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
  errors.base.output_message = on_output;
}

/// Runs `step`, which calls libjpeg and owns nothing. False when libjpeg gave up; `errors` has its
/// message.
template <class Step>
bool guarded(JpegErrors& errors, const Step& step) {
  if (setjmp(errors.jump) != 0) return false;  // NOLINT(cert-err52-cpp): libjpeg's way
  step();
  return true;
}

void do_nothing(j_decompress_ptr) {}

boolean on_end_of_input(j_decompress_ptr jpeg) {
  static constexpr std::array<JOCTET, 2> kEndOfImage = {0xff, JPEG_EOI};
  errors_of(reinterpret_cast<j_common_ptr>(jpeg)).past_end = true;
  jpeg->src->next_input_byte = kEndOfImage.data();
  jpeg->src->bytes_in_buffer = kEndOfImage.size();
  return TRUE;
}

void on_skip(j_decompress_ptr jpeg, long bytes) {
  if (bytes <= 0) return;
  const std::size_t skipped = std::min(static_cast<std::size_t>(bytes), jpeg->src->bytes_in_buffer);
  jpeg->src->next_input_byte += skipped;
  jpeg->src->bytes_in_buffer -= skipped;  // at the end the next read makes up the end marker
}

void on_progress(j_common_ptr jpeg) {
  const auto* decompress = reinterpret_cast<j_decompress_ptr>(jpeg);
  if (jpeg->is_decompressor && decompress->input_scan_number > kMaxScans) {
    constexpr std::string_view kText = "more scans than any picture needs";
    std::copy(kText.begin(), kText.end(), errors_of(jpeg).message.begin());
    std::longjmp(errors_of(jpeg).jump, 1);
  }
}

struct Decoder {
  JpegErrors errors;
  jpeg_decompress_struct jpeg{};
  jpeg_source_mgr input{};
  jpeg_progress_mgr progress{};
  bool made = false;

  explicit Decoder(std::span<const std::byte> bytes) {
    prepare(errors);
    jpeg.err = &errors.base;
    made = guarded(errors, [&] { jpeg_create_decompress(&jpeg); });
    input.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    input.bytes_in_buffer = bytes.size();
    input.init_source = do_nothing;
    input.fill_input_buffer = on_end_of_input;
    input.skip_input_data = on_skip;
    input.resync_to_restart = jpeg_resync_to_restart;
    input.term_source = do_nothing;
    jpeg.src = &input;
    progress.progress_monitor = on_progress;
    jpeg.progress = &progress;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

/// Rounds a x b / 255, as PIL does.
int scaled(int a, int b) noexcept {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/// A row of CMYK, inverted as Adobe's programs write it, to RGB: PIL's "CMYK;I" and cmyk2rgb.
void cmyk_to_rgb(const JSAMPLE* from, std::uint8_t* to, std::size_t width) noexcept {
  for (std::size_t x = 0; x < width; ++x, from += 4, to += 3) {
    const int white = from[3];  // 255 - black
    for (int channel = 0; channel < 3; ++channel)
      to[channel] =
          static_cast<std::uint8_t>(std::clamp(white - scaled(255 - from[channel], white), 0, 255));
  }
}

struct Encoder {
  JpegErrors errors;
  jpeg_compress_struct jpeg{};
  unsigned char* output = nullptr;
  unsigned long size = 0;

  Encoder() {
    prepare(errors);
    jpeg.err = &errors.base;
  }
  ~Encoder() {
    jpeg_destroy_compress(&jpeg);
    std::free(output);  // by jpeg_mem_dest's malloc
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

/// EXIF with the text, cut at the limit of a segment if it must be; the JSON beside it has all.
std::string exif_segment(std::string_view parameters) {
  if (parameters.empty()) return {};
  constexpr std::size_t kFrame = 64;  // directories and marks
  std::size_t bytes = 0;              // in UTF-16
  std::size_t kept = 0;
  while (kept < parameters.size()) {
    const auto lead = static_cast<unsigned char>(parameters[kept]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    bytes += length == 4 ? 4 : 2;
    if (bytes + kFrame > kMaxSegment || kept + length > parameters.size()) break;
    kept += length;
  }
  const std::vector<std::byte> exif = make_exif("", parameters.substr(0, kept));
  std::string segment("Exif\0\0", 6);
  return segment.append(reinterpret_cast<const char*>(exif.data()), exif.size());
}

void write_text(jpeg_compress_struct& jpeg, const std::string& exif, std::string_view json) {
  const auto write = [&](int marker, const char* bytes, std::size_t count) {
    jpeg_write_marker(&jpeg, marker, reinterpret_cast<const JOCTET*>(bytes),
                      static_cast<unsigned>(count));
  };
  if (!exif.empty()) write(JPEG_APP0 + 1, exif.data(), exif.size());
  // As many comments as it takes; each starts with the key.
  std::array<char, kMaxSegment> comment;
  std::copy(kJsonKey.begin(), kJsonKey.end(), comment.begin());
  comment[kJsonKey.size()] = ':';
  constexpr std::size_t kFront = kJsonKey.size() + 1;
  while (!json.empty()) {
    const std::size_t count = std::min(json.size(), kMaxSegment - kFront);
    std::copy_n(json.begin(), count, comment.begin() + kFront);
    write(JPEG_COM, comment.data(), kFront + count);
    json.remove_prefix(count);
  }
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xff} && bytes[1] == std::byte{0xd8} &&
         bytes[2] == std::byte{0xff};
}

Image decode_jpeg(const ImageSource& source, const ImageLimits& limits) {
  Decoder decoder(source.bytes);
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  const auto check = [&](bool ok) {
    if (!ok)
      source.fail("a whole JPEG file",
                  decoder.errors.past_end ? "the end of the file" : decoder.errors.message.data());
  };
  require(decoder.made, ErrorCode::OutOfMemory, "picture: no memory to read it (", source.name,
          ")");
  check(guarded(decoder.errors, [&] { jpeg_read_header(&jpeg, TRUE); }));
  source.check_size(jpeg.image_width, jpeg.image_height, limits);
  const bool cmyk = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  if (jpeg.num_components != 1 && jpeg.num_components != 3 && !cmyk)
    source.fail("a JPEG file of 1, 3 or 4 channels", text_of(jpeg.num_components, " channels"));

  Image image = blank_image(jpeg.image_width, jpeg.image_height);
  const std::size_t width = jpeg.image_width;
  std::vector<JSAMPLE> row(cmyk ? 4 * width : 0);
  check(guarded(decoder.errors, [&] {
    jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height) {
      std::uint8_t* const to = image.pixels.data() + 3 * width * jpeg.output_scanline;
      JSAMPROW target = cmyk ? row.data() : to;
      jpeg_read_scanlines(&jpeg, &target, 1);
      if (cmyk) cmyk_to_rgb(row.data(), to, width);
    }
  }));
  // A progressive file that ends between two scans decodes without a warning: coarse.
  const bool scans_missing = jpeg.progressive_mode != FALSE && decoder.errors.past_end;
  if (decoder.errors.truncated || scans_missing)
    source.fail("a whole JPEG file", "the end of the file");
  return image;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality, const ImageText& text) {
  require(image.width <= JPEG_MAX_DIMENSION && image.height <= JPEG_MAX_DIMENSION,
          ErrorCode::InvalidRequest, "picture: wanted at most ", JPEG_MAX_DIMENSION,
          " pixels a side for JPEG, found ", image.width, " x ", image.height);
  const std::string exif = exif_segment(text.parameters);
  Encoder encoder;
  jpeg_compress_struct& jpeg = encoder.jpeg;
  const bool ok = guarded(encoder.errors, [&] {
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &encoder.output, &encoder.size);
    jpeg.image_width = static_cast<JDIMENSION>(image.width);
    jpeg.image_height = static_cast<JDIMENSION>(image.height);
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    for (int i = 0; i < jpeg.num_components; ++i)
      jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
    jpeg.optimize_coding = TRUE;
    jpeg_start_compress(&jpeg, TRUE);
    write_text(jpeg, exif, text.json);
    while (jpeg.next_scanline < jpeg.image_height) {
      auto* row = const_cast<JSAMPROW>(image.pixels.data() +
                                       std::size_t{3} * jpeg.image_width * jpeg.next_scanline);
      jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
  });
  require(ok, ErrorCode::OutOfMemory, "picture: wanted a JPEG file of ", image.width, " x ",
          image.height, " pixels, found: ", encoder.errors.message.data());
  const auto* const bytes = reinterpret_cast<const std::byte*>(encoder.output);
  return {bytes, bytes + encoder.size};
}

}  // namespace annulus

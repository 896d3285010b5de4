#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <memory>

#include "io/image_codecs.h"

namespace annulus {
namespace {

constexpr std::size_t kSignature = 8;
constexpr std::size_t kHeaderEnd = 33;        // signature and IHDR with its frame
constexpr std::uint64_t kMostPerByte = 1032;  // deflate makes at most so many bytes of one
// Of the demo's sample sheet (512 x 512) level 6 makes 5 % fewer bytes in twice the time, level 3 9
// % more in 0.8 of it.
constexpr int kCompressionLevel = 4;

/// What libpng's callbacks see; plain data, so that its jumps skip no destructor.
struct PngState {
  const std::byte* input = nullptr;
  std::size_t left = 0;
  std::vector<std::byte>* output = nullptr;
  std::array<char, 200> message{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::strncpy(state->message.data(), message, state->message.size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, std::size_t bytes) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (bytes > state->left) png_error(png, "the end of the file");
  std::memcpy(to, state->input, bytes);
  state->input += bytes;
  state->left -= bytes;
}

bool append(std::vector<std::byte>& output, const std::byte* bytes, std::size_t count) noexcept {
  try {
    output.insert(output.end(), bytes, bytes + count);
    return true;
  } catch (const std::bad_alloc&) {
    return false;  // an exception must not pass through C
  }
}

void on_write(png_structp png, png_bytep bytes, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (!append(*state->output, reinterpret_cast<const std::byte*>(bytes), count))
    png_error(png, "no memory");
}

void on_flush(png_structp) {}

/// Runs `step`, which calls libpng and owns nothing. False when libpng gave up; the state has its
/// message.
template <class Step>
bool guarded(png_structp png, const Step& step) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;  // NOLINT(cert-err52-cpp): libpng's way
  step();
  return true;
}

struct Reader {
  PngState state;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  Reader() = default;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

struct Writer {
  PngState state;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  Writer() = default;
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

std::uint32_t big_endian_32(std::span<const std::byte> bytes, std::size_t at) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

/// Reads the header and asks for 8-bit RGB rows. Called under guard.
void begin_reading(png_structp png, png_infop info, std::uint32_t width, std::uint32_t height) {
  png_set_user_limits(png, width, height);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr,
                              -1);  // all but those that make pixels
  png_set_benign_errors(png, 1);
  png_read_info(png, info);
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
}

/// One text chunk: tEXt where the text is ASCII, else iTXt, as PIL does. `key` and `text` outlive
/// the writer.
png_text text_chunk(const char* key, const std::string& text) {
  png_text chunk{};
  bool ascii = true;
  for (const char c : text) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  chunk.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
  chunk.key = const_cast<char*>(key);  // libpng copies both
  chunk.text = const_cast<char*>(text.c_str());
  chunk.text_length = text.size();
  return chunk;
}

}  // namespace

bool is_png(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= kSignature &&
         png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignature) == 0;
}

Image decode_png(const ImageSource& source, const ImageLimits& limits) {
  if (source.bytes.size() < kHeaderEnd)
    source.fail("a PNG file with its header", "the end of the file");
  const std::uint32_t width = big_endian_32(source.bytes, 16),
                      height = big_endian_32(source.bytes, 20);
  source.check_size(width, height, limits);
  Reader reader;
  require(reader.info != nullptr, ErrorCode::OutOfMemory, "picture: no memory to read it (",
          source.name, ")");
  reader.state.input = source.bytes.data();
  reader.state.left = source.bytes.size();
  png_set_read_fn(reader.png, &reader.state, on_read);
  const auto check = [&](bool ok) {
    if (!ok) source.fail("a whole PNG file", reader.state.message.data());
  };
  int passes = 0;
  std::size_t file_row = 0, row = 0;
  check(guarded(reader.png, [&] {
    begin_reading(reader.png, reader.info, width, height);
    file_row = png_get_rowbytes(reader.png, reader.info);
    passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    row = png_get_rowbytes(reader.png, reader.info);
  }));
  // A short file that claims to be large is refused before memory is taken for it.
  if (source.bytes.size() * kMostPerByte < std::uint64_t{file_row} * height)
    source.fail(text_of("data for ", width, " x ", height, " pixels"),
                text_of(source.bytes.size(), " bytes"));
  if (row != std::size_t{3} * width) source.fail("RGB rows", text_of("rows of ", row, " bytes"));

  Image image = blank_image(width, height);
  check(guarded(reader.png, [&] {
    for (int pass = 0; pass < passes; ++pass)
      for (std::size_t y = 0; y < height; ++y)
        png_read_row(reader.png, image.pixels.data() + y * row, nullptr);
  }));
  return image;
}

std::vector<std::byte> encode_png(const Image& image, const ImageText& text) {
  Writer writer;
  std::vector<std::byte> output;
  require(writer.info != nullptr, ErrorCode::OutOfMemory, "picture: no memory to write it");
  writer.state.output = &output;
  png_set_write_fn(writer.png, &writer.state, on_write, on_flush);
  std::array<png_text, 2> chunks{};
  int count = 0;
  if (!text.parameters.empty())
    chunks[static_cast<std::size_t>(count++)] = text_chunk("parameters", text.parameters);
  if (!text.json.empty())
    chunks[static_cast<std::size_t>(count++)] = text_chunk("annulus", text.json);
  const bool ok = guarded(writer.png, [&] {
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width),
                 static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(writer.png, kCompressionLevel);
    png_set_text(writer.png, writer.info, chunks.data(), count);
    png_write_info(writer.png, writer.info);
    for (int y = 0; y < image.height; ++y)
      png_write_row(writer.png, image.pixels.data() + std::size_t{3} *
                                                          static_cast<std::size_t>(image.width) *
                                                          static_cast<std::size_t>(y));
    png_write_end(writer.png, writer.info);
  });
  const bool memory = std::strstr(writer.state.message.data(), "memory") != nullptr;
  require(ok, memory ? ErrorCode::OutOfMemory : ErrorCode::InvalidRequest,
          "picture: wanted a PNG file of ", image.width, " x ", image.height,
          " pixels, found: ", writer.state.message.data());
  return output;
}

}  // namespace annulus

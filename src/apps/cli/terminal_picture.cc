#include "apps/cli/terminal_picture.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>

#include "base/environment.h"

namespace annulus::cli {

namespace {

struct Colour {
  int red, green, blue;
};

// Mean of the pixels that fall into one cell of a grid of columns x rows.
Colour cell(const Image& image, int column, int row, int columns, int rows) {
  const int left = column * image.width / columns,
            right = std::max(left + 1, (column + 1) * image.width / columns);
  const int top = row * image.height / rows,
            bottom = std::max(top + 1, (row + 1) * image.height / rows);
  long sum[3] = {};
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x)
      for (int c = 0; c < 3; ++c)
        sum[c] +=
            image.pixels[(static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
                          static_cast<std::size_t>(x)) *
                             3 +
                         static_cast<std::size_t>(c)];
  const long count = static_cast<long>(right - left) * (bottom - top);
  return {static_cast<int>(sum[0] / count), static_cast<int>(sum[1] / count),
          static_cast<int>(sum[2] / count)};
}

void half_blocks(std::ostream& out, const Image& image, int columns) {
  columns = std::min(columns, image.width);
  const int rows = std::max(2, columns * image.height / image.width / 2 * 2);
  for (int row = 0; row < rows; row += 2) {
    for (int column = 0; column < columns; ++column) {
      const Colour upper = cell(image, column, row, columns, rows),
                   lower = cell(image, column, row + 1, columns, rows);
      out << "\x1b[38;2;" << upper.red << ';' << upper.green << ';' << upper.blue << "m\x1b[48;2;"
          << lower.red << ';' << lower.green << ';' << lower.blue << "m\u2580";
    }
    out << "\x1b[0m\n";
  }
}

std::string base64(const std::vector<std::byte>& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? std::to_integer<unsigned>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63u];
  }
  return text;
}

// The picture as PNG in kitty's graphics protocol: escape sequences that carry at most 4096
// characters of base64 each.
void kitty(std::ostream& out, const Image& image, int columns) {
  constexpr std::size_t kChunk = 4096;
  const std::string data = base64(encode_image(image, ImageFormat::Png));
  for (std::size_t at = 0; at < data.size(); at += kChunk) {
    out << "\x1b_G";
    if (at == 0) out << "a=T,f=100,c=" << columns << ',';
    out << "m=" << (at + kChunk < data.size() ? 1 : 0) << ';'
        << std::string_view(data).substr(at, kChunk) << "\x1b\\";
  }
  out << '\n';
}

}  // namespace

TerminalGraphics terminal_graphics() {
  const bool kitty_like = environment("TERM") == "xterm-kitty" ||
                          environment("TERM_PROGRAM") == "WezTerm" ||
                          environment("TERM_PROGRAM") == "ghostty";
  return kitty_like ? TerminalGraphics::Kitty : TerminalGraphics::HalfBlocks;
}

void show_picture(std::ostream& out, const Image& image, int columns, TerminalGraphics graphics) {
  if (image.width <= 0 || image.height <= 0) return;
  if (graphics == TerminalGraphics::Kitty)
    kitty(out, image, columns);
  else
    half_blocks(out, image, columns);
  out << std::flush;
}

}  // namespace annulus::cli

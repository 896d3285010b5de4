#pragma once

#include <iosfwd>

#include "io/image.h"

namespace annulus::cli {

enum class TerminalGraphics { HalfBlocks, Kitty };

/// What the terminal behind the environment's variables can show (kitty's protocol where TERM or
/// TERM_PROGRAM says so).
TerminalGraphics terminal_graphics();

/// A rendition of `image` at most `columns` characters wide: true-colour half blocks, or the
/// picture itself by kitty's protocol.
void show_picture(std::ostream& out, const Image& image, int columns, TerminalGraphics graphics);

}  // namespace annulus::cli

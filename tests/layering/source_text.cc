#include "source_text.h"

#include <algorithm>
#include <cctype>

namespace annulus::layering {

namespace {

bool part_of_a_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Blanks [begin, end) but for its line breaks.
void blank(std::string& text, std::size_t begin, std::size_t end) {
  std::replace_if(
      text.begin() + static_cast<std::ptrdiff_t>(begin),
      text.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return c != '\n'; }, ' ');
}

// Just after the literal that opens at `at`, whose quote is source[at].
std::size_t after_quoted(std::string_view source, std::size_t at) {
  const char quote = source[at];
  for (++at; at < source.size() && source[at] != quote && source[at] != '\n'; ++at)
    if (source[at] == '\\') ++at;
  return std::min(at + 1, source.size());
}

// Just after the raw string whose quote is source[at].
std::size_t after_raw(std::string_view source, std::size_t at) {
  const std::size_t open = source.find('(', at);
  if (open == std::string_view::npos) return source.size();
  const std::string close = ")" + std::string(source.substr(at + 1, open - at - 1)) + "\"";
  const std::size_t end = source.find(close, open);
  return end == std::string_view::npos ? source.size() : end + close.size();
}

bool on_an_include_line(std::string_view source, std::size_t at) {
  const std::size_t line = at == 0 ? 0 : source.rfind('\n', at - 1) + 1;  // npos + 1 == 0
  return source.substr(line, at - line).find("#include") != std::string_view::npos;
}

}  // namespace

std::string code_of(std::string_view source) {
  std::string code(source);
  std::size_t at = 0;
  while (at < source.size()) {
    const std::string_view rest = source.substr(at);
    std::size_t end = at + 1;
    if (rest.starts_with("//")) {
      end = std::min(source.find('\n', at), source.size());
      blank(code, at, end);
    } else if (rest.starts_with("/*")) {
      const std::size_t close = source.find("*/", at + 2);
      end = close == std::string_view::npos ? source.size() : close + 2;
      blank(code, at, end);
    } else if (rest[0] == '"') {
      const bool raw = at > 0 && source[at - 1] == 'R';
      end = raw ? after_raw(source, at) : after_quoted(source, at);
      if (!on_an_include_line(source, at)) blank(code, at + 1, std::max(end - 1, at + 1));
    } else if (rest[0] == '\'' && (at == 0 || !part_of_a_name(source[at - 1]))) {  // not 1'000
      end = after_quoted(source, at);
      blank(code, at + 1, std::max(end - 1, at + 1));
    }
    at = end;
  }
  return code;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace annulus::layering

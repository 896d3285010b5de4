#include "apps/cli/output_name.h"

#include <cctype>

#include "base/error.h"

namespace annulus::cli {

namespace {

constexpr std::size_t kLongestPart = 60;

// UTF-8 letters beyond ASCII are kept whole; a sequence is not cut in two.
std::string file_part(std::string_view text) {
  std::string part;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    std::size_t length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    length = std::min(length, text.size() - at);
    if (part.size() + length > kLongestPart) break;
    if (byte >= 0x80 || std::isalnum(byte) != 0)
      part += text.substr(at, length);
    else if (!part.empty() && part.back() != '-')
      part += '-';
    at += length;
  }
  while (!part.empty() && part.back() == '-') part.pop_back();
  return part.empty() ? "picture" : part;
}

}  // namespace

std::filesystem::path output_name(std::string_view pattern, const OutputFields& fields) {
  std::string name;
  for (std::size_t at = 0; at < pattern.size();) {
    const char letter = pattern[at];
    if (letter != '{') {
      require(letter != '}', ErrorCode::InvalidRequest, "--output: wanted '{' before '}', found \"",
              pattern, "\"");
      name += letter;
      ++at;
      continue;
    }
    const std::size_t end = pattern.find('}', at);
    require(end != std::string_view::npos, ErrorCode::InvalidRequest,
            "--output: wanted '}' after '{', found \"", pattern, "\"");
    const std::string_view field = pattern.substr(at + 1, end - at - 1);
    if (field == "prompt")
      name += file_part(fields.prompt);
    else if (field == "model")
      name += file_part(fields.model);
    else if (field == "seed")
      name += std::to_string(fields.seed);
    else if (field == "index")
      name += std::to_string(fields.index);
    else
      throw Error(
          ErrorCode::InvalidRequest,
          text_of("--output: wanted {prompt}, {seed}, {index} or {model}, found {", field, "}"));
    at = end + 1;
  }
  require(!name.empty(), ErrorCode::InvalidRequest, "--output: wanted a file name, found nothing");
  return name;
}

}  // namespace annulus::cli

// Tokenizer files, then texts through whatever loads: a tokenizer.json, or (after a first byte 'v')
// a vocab.json on one line with a merges.txt below.
#include <algorithm>

#include "fuzz.h"
#include "io/tokenizer_load.h"
#include "io/unicode.h"

namespace annulus {
namespace {

TokenizerFiles no_files() {
  return {"/model", Json::object(), Json::object(), Json::object()};
}

std::unique_ptr<Tokenizer> load(std::string_view input) {
  const JsonLimits limits{.values = 20'000, .depth = 16};
  if (!input.starts_with('v'))
    return tokenizer_from_json(Json::parse(input, "tokenizer.json", ErrorCode::CorruptFile, limits),
                               no_files());
  input.remove_prefix(1);
  const std::string_view first = input.substr(0, input.find('\n'));
  return tokenizer_from_tables(Json::parse(first, "vocab.json", ErrorCode::CorruptFile, limits),
                               input.substr(std::min(input.size(), first.size() + 1)), "merges.txt",
                               no_files());
}

void use(const Tokenizer& tokenizer, std::string_view input) {
  // The input's own text holds the file's tokens; a pattern may turn out to be endless only here.
  const std::string own = replace_invalid_utf8(input.substr(0, 400));
  for (const std::string_view text :
       {std::string_view("The cat's 12 caf\u00e9s,\n\n <|im_end|> e\u0301\t"),
        std::string_view(own)}) {
    fuzz::accepts_or_refuses({ErrorCode::CorruptFile, ErrorCode::OutOfMemory}, [&] {
      const auto ids = tokenizer.encode(text);
      for (const std::int32_t id : ids) fuzz::check(id >= 0 && id < kMaxTokenId);
      fuzz::check(find_invalid_utf8(tokenizer.decode(ids)) == std::string::npos);
    });
  }
}

}  // namespace
}  // namespace annulus

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = annulus::fuzz::text_of_input(data, size);
  annulus::fuzz::accepts_or_refuses(
      {annulus::ErrorCode::CorruptFile, annulus::ErrorCode::Unsupported},
      [&] { annulus::use(*annulus::load(input), input); });
  return 0;
}

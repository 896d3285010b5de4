// A pattern as a tokenizer file gives it, on the first line, run over the rest: matches go from
// left to right.
#include <algorithm>

#include "fuzz.h"
#include "io/pretokenizer_pattern.h"
#include "io/unicode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace annulus;  // NOLINT(google-build-using-namespace): one function
  const std::string_view input = fuzz::text_of_input(data, size);
  const std::string_view expression = input.substr(0, input.find('\n'));
  const std::string text =
      replace_invalid_utf8(input.substr(std::min(size, expression.size() + 1)).substr(0, 200));
  fuzz::accepts_or_refuses({ErrorCode::CorruptFile, ErrorCode::Unsupported}, [&] {
    std::size_t done = 0;
    for (const TextRange& match : Pattern::regex(expression, "fuzz").matches(text)) {
      fuzz::check(match.begin >= done && match.end >= match.begin && match.end <= text.size());
      done = match.end;
    }
  });
  return 0;
}

// What a picture's file says about how it was made, and the text of the web UI in it.
#include <span>

#include "fuzz.h"
#include "io/metadata.h"
#include "io/unicode.h"

namespace annulus {
namespace {

void read_parameters(std::string_view text) {
  const GenerationText parsed = parse_parameters(text);
  options_of(parsed).dump();
  // Writing and reading again changes nothing more, line ends and blanks apart.
  const GenerationText again = parse_parameters(format_parameters(parsed));
  fuzz::check(parsed.settings.empty() || again.settings.size() >= parsed.settings.size());
}

}  // namespace
}  // namespace annulus

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace annulus;  // NOLINT(google-build-using-namespace): one function
  fuzz::accepts_or_refuses({ErrorCode::InvalidRequest}, [&] {
    const ImageMetadata found = metadata_of(std::as_bytes(std::span(data, size)), "fuzz");
    if (found.parameters) fuzz::check(find_invalid_utf8(*found.parameters) == std::string::npos);
    if (found.parameters) read_parameters(*found.parameters);
  });
  read_parameters(fuzz::text_of_input(data, size));
  return 0;
}

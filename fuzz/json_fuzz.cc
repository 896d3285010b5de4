// A JSON document: what is accepted must survive being written and read again.
#include "fuzz.h"
#include "io/json.h"

namespace annulus {
namespace {

void walk(const Json& value) {
  fuzz::accepts_or_refuses({ErrorCode::CorruptFile}, [&] { value.as<std::int64_t>(); });
  fuzz::accepts_or_refuses({ErrorCode::CorruptFile}, [&] { value.as<std::uint8_t>(); });
  fuzz::accepts_or_refuses({ErrorCode::CorruptFile}, [&] { value.as<std::vector<std::string>>(); });
  if (value.is_array())
    for (const Json& element : value.elements()) walk(element);
  if (value.is_object())
    for (const auto& [key, member] : value.members()) {
      fuzz::check(value[key] == member || member.dump().find("null") != std::string::npos);
      walk(member);
    }
}

void read(std::string_view text) {
  const Json json =
      Json::parse(text, "fuzz", ErrorCode::CorruptFile, {.values = 100'000, .depth = 16});
  const bool nonfinite =
      text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos;
  if (!nonfinite) fuzz::check(Json::parse(json.dump(), "again", ErrorCode::CorruptFile) == json);
  if (text.size() < 4096) walk(json);
}

}  // namespace
}  // namespace annulus

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  annulus::fuzz::accepts_or_refuses({annulus::ErrorCode::CorruptFile}, [&] {
    annulus::read(annulus::fuzz::text_of_input(data, size));
  });
  return 0;
}

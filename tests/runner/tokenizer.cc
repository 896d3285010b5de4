#include "io/tokenizer.h"

#include "kinds.h"

namespace annulus::goldens {
namespace {

std::string listed(const std::vector<std::int32_t>& ids) {
  std::string text = "[";
  for (const std::int32_t id : ids) text += text_of(text.size() > 1 ? ", " : "", id);
  return text + "]";
}

/// The tokenizer of a case: named as the case ("tokenizer_2"), else "tokenizer", else "processor".
std::filesystem::path tokenizer_folder(const GoldenCase& golden) {
  const std::filesystem::path model = golden.model_folder();
  for (const std::filesystem::path& name :
       {golden.folder().filename(), std::filesystem::path("tokenizer")})
    if (std::filesystem::is_directory(model / name)) return model / name;
  return model / "processor";
}

}  // namespace

/// Texts to ids, with and without special tokens, and back.
void run_tokenizer(const GoldenCase& golden, Workbench&, Comparison& comparison) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(tokenizer_folder(golden));
  int index = 0;
  for (const Json& one : golden.json()["cases"].elements()) {
    const auto text = one.get<std::string>("text");
    const std::string name = text_of("case", index++);
    const auto check_ids = [&](const char* key, bool special) {
      if (!one.has(key)) return;
      const auto expected = one.get<std::vector<std::int32_t>>(key);
      const std::vector<std::int32_t> got =
          tokenizer->encode(text, {.add_special_tokens = special});
      comparison.add_check(
          text_of(name, ".", key), got == expected,
          text_of(Json(text).dump(), ": got ", listed(got), ", expected ", listed(expected)));
    };
    check_ids("ids", true);
    check_ids("ids_no_special", false);
    if (!one.has("decoded")) continue;
    const std::string decoded = tokenizer->decode(one.get<std::vector<std::int32_t>>("ids"));
    comparison.add_check(
        text_of(name, ".decoded"), decoded == one.get<std::string>("decoded"),
        text_of("got ", Json(decoded).dump(), ", expected ", one["decoded"].dump()));
  }
}

}  // namespace annulus::goldens

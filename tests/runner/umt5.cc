#include "umt5.h"

#include "components.h"
#include "io/tokenizer.h"
#include "models/encoders/umt5/prompt.h"
#include "qwen2_5_vl.h"

namespace annulus::goldens {
namespace {

/// "A [2, 3] of the file" as host integers.
std::vector<std::int64_t> integers(const GoldenCase& golden, Workbench& bench, const char* name) {
  const Tensor x = bench.widened(golden.input(name, bench.host()));
  return {x.data<std::int64_t>(), x.data<std::int64_t>() + x.elements()};
}

}  // namespace

/// Hidden states of the stored ids, padding included; and the ids from the prompts.
void run_umt5_text(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Context& ctx = bench.context();
  const std::filesystem::path folder = encoder_folder(golden);
  const umt5::Encoder encoder =
      umt5::load(WeightScope(WeightFiles::open(folder), ctx.device),
                 Json::read(folder / "config.json", ErrorCode::CorruptFile),
                 selection_of(bench, "text_encoder"), ctx.dtype);
  const Shape shape = golden.input("input_ids", bench.host()).shape();
  const std::vector<std::int64_t> wide = integers(golden, bench, "input_ids"),
                                  mask = integers(golden, bench, "attention_mask");
  const std::vector<std::int32_t> ids(wide.begin(), wide.end());
  std::vector<std::int64_t> lengths;
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    lengths.push_back(0);
    for (std::int64_t i = 0; i < shape[1]; ++i)
      lengths.back() += mask[static_cast<std::size_t>(row * shape[1] + i)];
  }
  const Tap tap = [&](std::string_view name, const Tensor& value) {
    if (golden.has_output(name)) comparison.add(name, value);
  };
  comparison.add("last_hidden_state", umt5::encode_tokens(ctx, encoder, ids, lengths, tap));

  if (!golden.json().has("prompts")) return;
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(golden.model_folder() / "tokenizer");
  const auto prompts = golden.json().get<std::vector<std::string>>("prompts");
  for (std::size_t row = 0; row < prompts.size(); ++row) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(row) * shape[1];
    const std::vector<std::int32_t> expected(begin, begin + lengths[row]);
    comparison.add_check(text_of("ids of prompt ", row),
                         umt5::prompt_ids(*tokenizer, prompts[row], shape[1]) == expected,
                         "other ids");
  }
}

}  // namespace annulus::goldens

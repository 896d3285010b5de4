// Kind "transformer": one forward pass, with every tap that the case stores.
#include <string>

#include "components.h"
#include "kinds.h"
#include "nn/transfer.h"
#include "transformer_case.h"
#include "wan.h"

namespace annulus::goldens {
namespace {

using namespace qwen_image;

/// img_shapes of the case: [[frames, height, width], ...], one batch entry's.
std::vector<PatchGrid> grids_of(const Json& json) {
  std::vector<PatchGrid> grids;
  for (const Json& shape : json["img_shapes"].elements()) {
    const auto size = shape.as<std::vector<std::int64_t>>();
    if (size.size() != 3) shape.fail("frames, height, width");
    grids.push_back({size[0], size[1], size[2]});
  }
  return grids;
}

/// Real rows per entry; the mask must be a run of ones.
std::vector<std::int64_t> lengths_of(const GoldenCase& golden, Workbench& bench,
                                     const Shape& text) {
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(text[0]), text[1]);
  if (!golden.has_input("encoder_hidden_states_mask")) return lengths;
  const Tensor mask = bench.widened(golden.input("encoder_hidden_states_mask", bench.host()));
  const std::int64_t* seen = mask.data<std::int64_t>();
  for (std::size_t entry = 0; entry < lengths.size(); ++entry) {
    const std::int64_t* row = seen + static_cast<std::int64_t>(entry) * text[1];
    std::int64_t length = 0, total = 0;
    while (length < text[1] && row[length] != 0) ++length;
    for (std::int64_t i = 0; i < text[1]; ++i) total += row[i] != 0 ? 1 : 0;
    require(total == length, ErrorCode::Unsupported,
            "encoder_hidden_states_mask: wanted ones, then zeros");
    lengths[entry] = length;
  }
  return lengths;
}

}  // namespace

Tensor run_transformer_case(const GoldenCase& golden, Workbench& bench, const Transformer& model,
                            const Tap& tap) {
  const Context& ctx = bench.context();
  const auto on_device = [&](std::string_view name) {
    const Tensor x = golden.input(name, bench.host());
    return to_device(
        ctx, std::span<const float>(x.data<float>(), static_cast<std::size_t>(x.elements())),
        x.shape(), ctx.wide);
  };
  const Tensor text = on_device("encoder_hidden_states");
  const Prepared prompt =
      prepare(ctx, model, {text, lengths_of(golden, bench, text.shape())}, grids_of(golden.json()));
  const Tensor times = bench.widened(golden.input("timestep", bench.host()));
  std::vector<std::int32_t> additional;
  for (const char* name : {"additional_t_cond", "addition_t_cond"}) {
    if (!golden.has_input(name)) continue;
    const Tensor values = bench.widened(golden.input(name, bench.host()));
    for (std::int64_t i = 0; i < values.elements(); ++i)
      additional.push_back(static_cast<std::int32_t>(values.data<std::int64_t>()[i]));
  }
  const Tensor latents = on_device("hidden_states");
  const Step step = {
      .latents = latents,
      .timesteps = {times.data<double>(), static_cast<std::size_t>(times.elements())},
      .additional_t_cond = additional};
  return forward(ctx, model, prompt, step, prompt.img_seq, tap);
}

void run_transformer(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  if (checkpoint.component("transformer").class_name == "WanTransformer3DModel")
    return run_wan_transformer(golden, bench, comparison);
  require_class(checkpoint, "transformer", "QwenImageTransformer2DModel");
  const Transformer model = load_component(bench, checkpoint, "transformer", load_transformer);
  const Tap tap = [&](std::string_view name, const Tensor& value) {
    if (golden.has_output(name)) comparison.add(name, value);
  };
  comparison.add("out", run_transformer_case(golden, bench, model, tap));
  comparison.variant("without taps");
  comparison.add("out", run_transformer_case(golden, bench, model, {}));
  for (const std::string& name : golden.output_names())
    if (name != "out") comparison.leave_out(name, "compared above");
}

}  // namespace annulus::goldens

#include "pipeline_case.h"

#include <string>

#include "base/random/torch_generator.h"
#include "components.h"
#include "models/qwen_image/latents.h"
#include "nn/transfer.h"

namespace annulus::goldens {
namespace {

std::vector<std::string> texts(const Json& json) {
  return json.is_array() ? json.as<std::vector<std::string>>()
                         : std::vector<std::string>{json.as<std::string>()};
}

}  // namespace

LoadOptions load_options(Workbench& bench) {
  return {.ctx = bench.context(), .attention = selection_of(bench, "")};
}

Request request_of(const GoldenCase& golden, Workbench& bench) {
  const Json args = golden.json()["args"];
  Request request;
  request.prompts = texts(args["prompt"]);
  request.true_cfg_scale = 1.0f;  // without a negative prompt the class does not guide
  if (const std::optional<Json> negative = args.find("negative")) {
    request.negative_prompts = texts(*negative);
    request.true_cfg_scale = args.get<float>("cfg");
  }
  request.height = args.get<std::int64_t>("h", 0);
  request.width = args.get<std::int64_t>("w", 0);
  request.steps = args.get<int>("steps");
  request.seeds = {args.get<std::uint64_t>("seed")};
  request.latents = golden.input("latents", bench.host());
  return request;
}

void compare_run(const GoldenCase& golden, Comparison& comparison, Pipeline& pipeline,
                 Request request) {
  Progress progress;
  progress.tap = [&](std::string_view name, const Tensor& value) {
    if (golden.has_output(name)) comparison.add(name, value);
  };
  const Result result = pipeline.generate(pipeline.complete(std::move(request)), progress);
  if (!golden.has_output("image_u8")) return;
  std::vector<std::int64_t> bytes;
  for (const Image& image : result.images)
    bytes.insert(bytes.end(), image.pixels.begin(), image.pixels.end());
  comparison.add("image_u8", std::span<const std::int64_t>(bytes),
                 {static_cast<std::int64_t>(result.images.size()), result.images.front().height,
                  result.images.front().width, 3});
}

void compare_noise(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Context& ctx = bench.context();
  const Tensor noise = golden.input("noise", bench.host());  // [batch, 1, channels, height, width]
  std::vector<float> drawn(static_cast<std::size_t>(noise.elements()));
  // One generator for the whole shape, as the case was made.
  TorchGenerator(golden.json()["args"].get<std::uint64_t>("seed")).randn(std::span<float>(drawn));
  const Tensor tensor = bench.host_tensor(drawn, noise.shape());
  comparison.add("noise from the seed", tensor, noise, {.max = 0});
  const Tensor on_device = to_device(ctx, std::span<const float>(drawn), noise.shape(), ctx.wide);
  comparison.add("latents from the seed",
                 qwen_image::packed(ctx, on_device.permute({0, 1, 3, 4, 2})),
                 golden.input("latents", bench.host()), {.max = 0});
}

void compare_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison,
                      Pipeline& pipeline, const Request& request) {
  compare_run(golden, comparison, pipeline, request);
  compare_noise(golden, bench, comparison);
  if (request.batch() != 1) return;  // a batch draws one generator per picture here
  comparison.variant("from the seed");
  Request from_seed = request;
  from_seed.latents.reset();
  compare_run(golden, comparison, pipeline, from_seed);
}

}  // namespace annulus::goldens

// Kind "pipeline" of the Wan family: text or picture to video with a whole model folder, from the
// stored start noise; then from the seed alone.
#include "base/random/torch_generator.h"
#include "components.h"
#include "models/wan/latents.h"
#include "models/wan/pipeline.h"
#include "pipeline_case.h"
#include "wan.h"

namespace annulus::goldens {
namespace {

wan::Components components_of(const GoldenCase& golden, const Checkpoint& checkpoint,
                              Workbench& bench) {
  const Json args = golden.json()["args"];
  wan::Components c = wan::load_components(checkpoint, load_options(bench));
  if (const std::optional<Json> scheduler = args.find("scheduler")) c.scheduler_config = *scheduler;
  return c;
}

Request request_of_case(const GoldenCase& golden, Workbench& bench) {
  const Json args = golden.json()["args"];
  Request request = request_of(golden, bench);
  request.frames = args.get<std::int64_t>("frames");
  request.max_sequence_length = args.get<int>("max_len");
  if (const std::optional<Json> scale = args.find("cfg2"))
    request.guidance_scale_2 = scale->as<float>();
  if (golden.has_input("image")) {
    const Tensor bytes = golden.input("image", bench.host());
    const auto* data = bytes.data<std::uint8_t>();
    request.images.push_back(std::make_shared<const Image>(
        Image{static_cast<int>(bytes.shape()[1]), static_cast<int>(bytes.shape()[0]),
              std::vector<std::uint8_t>(data, data + bytes.elements())}));
  }
  return request;
}

}  // namespace

void run_wan_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  const wan::Components parts = components_of(golden, checkpoint, bench);
  const wan::PatchSize patch = parts.transformer.config.patch_size;
  const Request request = request_of_case(golden, bench);
  const wan::LatentSize size = wan::latent_size(parts, request);
  wan::WanPipeline pipeline(parts, {});
  const Context& ctx = bench.context();
  Progress progress;
  progress.tap = [&](std::string_view name, const Tensor& value) {
    if (!golden.has_output(name)) return;
    if (golden.json()["outputs"][name].get<std::string>("dtype") == "int64") {
      const Tensor wide = bench.widened(value);  // whole numbers where diffusers has them
      const std::vector<std::int64_t> whole(wide.data<double>(),
                                            wide.data<double>() + wide.elements());
      return comparison.add(name, whole, value.shape());
    }
    const bool rows = name.starts_with("noise_pred") || name.starts_with("latents");
    comparison.add(
        name,
        rows ? wan::unpacked(ctx, value, patch, {size.frames, size.height, size.width}) : value);
  };
  pipeline.generate(pipeline.complete(request), progress);

  // One generator for the whole shape, as the case was made.
  const Tensor stored = golden.input("latents", bench.host());
  std::vector<float> drawn(static_cast<std::size_t>(stored.elements()));
  TorchGenerator(golden.json()["args"].get<std::uint64_t>("seed")).randn(std::span<float>(drawn));
  comparison.add("latents from the seed", bench.host_tensor(drawn, stored.shape()), stored,
                 {.max = 0});
  if (request.batch() != 1) return;  // a batch draws one generator per video here
  comparison.variant("from the seed");
  Request from_seed = request;
  from_seed.latents.reset();
  pipeline.generate(pipeline.complete(from_seed), progress);
}

}  // namespace annulus::goldens

// Kind "lora": a transformer with an adapter fused into its weights and with one applied beside
// them.
#include <string>

#include "components.h"
#include "kinds.h"
#include "transformer_case.h"

namespace annulus::goldens {
namespace {

using namespace qwen_image;

std::shared_ptr<const LoraSet> read_adapter(const GoldenCase& golden, Workbench& bench, LoraUse use,
                                            float scale) {
  auto set = std::make_shared<LoraSet>(use);
  set->add(golden.model_folder() / golden.json().get<std::string>("lora"), scale,
           bench.context().device);
  return set;
}

/// GOLDENS/lora/FAMILY is the case's folder of files, GOLDENS/base its model.
std::filesystem::path base_folder(const GoldenCase& golden) {
  return golden.model_folder().parent_path().parent_path() / golden.json().get<std::string>("base");
}

}  // namespace

void run_lora(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(base_folder(golden));
  require_class(checkpoint, "transformer", "QwenImageTransformer2DModel");
  const auto scale = golden.json().get<float>("scale");
  const auto run = [&](std::shared_ptr<const LoraSet> set) {
    const Transformer model =
        load_component(bench, checkpoint, "transformer", load_transformer, std::move(set));
    return run_transformer_case(golden, bench, model);
  };
  const auto fused = read_adapter(golden, bench, LoraUse::Fused, scale);
  comparison.add("base", run(nullptr));
  comparison.add("fused", run(fused));
  comparison.add("active", run(read_adapter(golden, bench, LoraUse::Beside, 1)));
  comparison.add("fused, but applied beside",
                 run(read_adapter(golden, bench, LoraUse::Beside, scale)),
                 golden.output("fused", bench.host()), comparison.bound_of("fused"));

  const WeightScope w = checkpoint.weights("transformer", bench.context().device, fused);
  const std::string prefix = "fused.weight.";
  for (const std::string& name : golden.output_names())
    if (name.starts_with(prefix))
      comparison.add(name, (w / name.substr(prefix.size())).get("weight"));
}

}  // namespace annulus::goldens

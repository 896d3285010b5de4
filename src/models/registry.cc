#include "models/registry.h"

#include <array>
#include <string>

#include "models/qwen_image/pipeline.h"
#include "models/wan/causal_pipeline.h"
#include "models/wan/pipeline.h"

namespace annulus {

namespace {

constexpr std::array<ModelEntry, 3> kModels = {{
    {"qwen-image", qwen_image::recognises, qwen_image::load_pipeline},
    {"wan", wan::recognises, wan::load_pipeline},
    {"causal-wan", wan::recognises_causal, wan::load_causal_pipeline},
}};

}  // namespace

std::span<const ModelEntry> model_registry() noexcept {
  return kModels;
}

const ModelEntry& model_entry_for(const Checkpoint& checkpoint) {
  std::string known;
  for (const ModelEntry& entry : kModels) {
    if (entry.recognises(checkpoint)) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorCode::Unsupported,
              text_of("model: wanted a pipeline of ", known, ", found ",
                      checkpoint.pipeline_class(), " (", checkpoint.folder().string(), ")"));
}

}  // namespace annulus

// Text to video with a causal Wan: frames are handed on as each block of them is done, and memory
// does not grow with their number. How blocks are made is in causal.h. Source: SGLang Diffusion
// WanCausalDMDPipeline.
#pragma once

#include "models/wan/causal.h"
#include "models/wan/completion.h"

namespace annulus::wan {

/// Beside what a request may say, from "defaults" of the folder's annulus.json: "window" and "sink"
/// in latent frames, "block_frames", "shift" of the noise levels. Throws CorruptFile.
struct CausalDefaults {
  Defaults common = {.steps = 4, .guidance_scale = 1};
  CausalOptions options;
  double shift = 5;
};
CausalDefaults read_causal_defaults(const Json& json);

class CausalWanPipeline final : public Pipeline {
 public:
  CausalWanPipeline(Components components, CausalDefaults defaults)
      : components_(std::move(components)), defaults_(std::move(defaults)) {}

  Request complete(Request request) const override;
  Result generate(const Request& request, const Progress& progress) override;
  MemoryPrediction predict_memory(const Request& request) const override;
  std::vector<ComponentAttention> attention() const override { return attention_of(components_); }
  std::vector<std::string> unmatched_adapters() const override {
    return components_.unmatched_adapters;
  }

 private:
  Components components_;
  CausalDefaults defaults_;
};

std::unique_ptr<Pipeline> load_causal_pipeline(const Checkpoint& checkpoint,
                                               const LoadOptions& options);
bool recognises_causal(const Checkpoint& checkpoint);

}  // namespace annulus::wan

// The pipelines of the family: text to video, and image to video. They share everything but the
// picture that begins it (conditions.h). What a request may say is in completion.h, the loop in
// pipeline/denoise.h. Source: diffusers WanPipeline, WanImageToVideoPipeline.
#pragma once

#include "models/wan/completion.h"

namespace annulus::wan {

class WanPipeline final : public Pipeline {
 public:
  WanPipeline(Components components, Defaults defaults)
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
  Defaults defaults_;
};

/// The pipeline of a folder whose class is one of the two. Throws as load_components.
std::unique_ptr<Pipeline> load_pipeline(const Checkpoint& checkpoint, const LoadOptions& options);

/// Is it one of the two classes?
bool recognises(const Checkpoint& checkpoint);

}  // namespace annulus::wan

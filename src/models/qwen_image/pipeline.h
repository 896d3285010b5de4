// The pipelines of the family: text to picture, and editing with one or several condition pictures.
// They share everything but what is encoded beside the prompt (conditions.h). What a request may
// say is in completion.h, the loop in pipeline/denoise.h. Source: diffusers QwenImagePipeline,
// QwenImageEditPipeline, QwenImageEditPlusPipeline.
#pragma once

#include "models/qwen_image/completion.h"
#include "models/qwen_image/conditions.h"

namespace annulus::qwen_image {

class QwenImagePipeline final : public Pipeline {
 public:
  QwenImagePipeline(Components components, Variant variant, Defaults defaults)
      : components_(std::move(components)), variant_(variant), defaults_(std::move(defaults)) {}

  Request complete(Request request) const override;
  Result generate(const Request& request, const Progress& progress) override;
  MemoryPrediction predict_memory(const Request& request) const override;
  std::vector<ComponentAttention> attention() const override { return attention_of(components_); }
  std::vector<std::string> unmatched_adapters() const override {
    return components_.unmatched_adapters;
  }

 private:
  Components components_;
  Variant variant_;
  Defaults defaults_;
};

/// The pipeline of a folder whose class is one of the three. Throws as load_components.
std::unique_ptr<Pipeline> load_pipeline(const Checkpoint& checkpoint, const LoadOptions& options);

/// Is it one of the three classes?
bool recognises(const Checkpoint& checkpoint);

}  // namespace annulus::qwen_image

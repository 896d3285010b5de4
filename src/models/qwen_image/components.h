#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/tokenizer.h"
#include "models/encoders/qwen2_5_vl/encoder.h"
#include "models/encoders/qwen2_5_vl/image_processor.h"
#include "models/qwen_image/transformer.h"
#include "models/vaes/qwen_image/vae.h"
#include "pipeline/load.h"
#include "pipeline/pipeline.h"
#include "schedulers/scheduler.h"

namespace annulus::qwen_image {

/// What the pipelines of this family are made of. Weights are mapped, not read: a page comes into
/// memory when a request first touches it.
struct Components {
  Context text_ctx, transformer_ctx, vae_ctx;  // each with its own dtype
  std::shared_ptr<const Tokenizer> tokenizer;
  qwen2_5_vl::Encoder text_encoder;
  std::optional<qwen2_5_vl::ImageProcessor> image_processor;  // of the edit pipelines
  Transformer transformer;
  Vae vae;
  Json scheduler_config;
  std::vector<std::string> unmatched_adapters;
};

/// Reads every component of a folder and negotiates attention for every layer.
///
///   edits  is there a processor for condition pictures?
///
/// Throws CorruptFile naming tensor, key and file; Unsupported naming what this build cannot do
/// (an embedded guidance, a scheduler that adds noise, layers), or a choice of attention.
Components load_components(const Checkpoint& checkpoint, const LoadOptions& options, bool edits);

/// Every layer that does attention.
std::vector<ComponentAttention> attention_of(const Components& components);

}  // namespace annulus::qwen_image

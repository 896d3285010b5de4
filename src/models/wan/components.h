#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/tokenizer.h"
#include "models/encoders/clip_vision/encoder.h"
#include "models/encoders/umt5/encoder.h"
#include "models/vaes/qwen_image/vae.h"
#include "models/wan/transformer.h"
#include "pipeline/load.h"
#include "pipeline/pipeline.h"
#include "schedulers/scheduler.h"

namespace annulus::wan {

/// What the pipelines of this family are made of. Weights are mapped, not read: a page comes into
/// memory when a request first touches it.
struct Components {
  Context text_ctx, image_ctx, transformer_ctx, vae_ctx;  // each with its own dtype
  std::shared_ptr<const Tokenizer> tokenizer;
  umt5::Encoder text_encoder;
  std::optional<clip_vision::Encoder> image_encoder;  // of Wan 2.1's image-to-video
  std::optional<clip_vision::ImageProcessor> image_processor;
  Transformer transformer;
  std::optional<Transformer> transformer_2;  // the expert for low noise, with boundary_ratio
  qwen_image::Vae vae;
  Json scheduler_config;
  std::optional<double> boundary_ratio;  // of the training timesteps: the first expert's end
  bool expand_timesteps = false;         // a first frame may be given as latents at timestep 0
  bool from_image = false;               // must a picture begin the video? (the pipeline's class)
  std::vector<std::string> unmatched_adapters;
};

/// Reads every component of a folder and negotiates attention for every layer.
///
/// Throws CorruptFile naming tensor, key and file, or components that were not made for each other;
/// Unsupported naming what this build cannot do, or a choice of attention.
Components load_components(const Checkpoint& checkpoint, const LoadOptions& options);

/// Every layer that does attention.
std::vector<ComponentAttention> attention_of(const Components& components);

}  // namespace annulus::wan

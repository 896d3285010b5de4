#include "models/wan/memory.h"

#include <algorithm>

namespace annulus::wan {

namespace {

constexpr int kSteps = 3;  // as many as a solver of several steps needs to hold all it ever holds

// What a process holds beside weights and activations: as measured for Qwen-Image (see there).
constexpr std::size_t kProgram = 24'000'000, kHalfConvolutions = 10'000'000;

void stand_in(AttentionChoice& choice) {
  choice.backend = &Meter::attention();
}

Transformer on_meter(Transformer model) {
  for (Block& block : model.blocks) {
    stand_in(block.attn1.attention);
    stand_in(block.attn2.attention);
  }
  return model;
}

qwen_image::Vae on_meter(qwen_image::Vae vae) {
  for (auto& block : vae.encoder.down_blocks)
    if (auto* attention = std::get_if<qwen_image::AttentionBlock>(&block))
      stand_in(attention->attention);
  stand_in(vae.encoder.mid_block.attention.attention);
  stand_in(vae.decoder.mid_block.attention.attention);
  return vae;
}

}  // namespace

Components on_meter(const Components& c, Meter& meter) {
  Components made = {.text_ctx = meter.context(c.text_ctx),
                     .image_ctx = meter.context(c.image_ctx),
                     .transformer_ctx = meter.context(c.transformer_ctx),
                     .vae_ctx = meter.context(c.vae_ctx),
                     .tokenizer = c.tokenizer,
                     .text_encoder = c.text_encoder,
                     .image_encoder = c.image_encoder,
                     .image_processor = c.image_processor,
                     .transformer = on_meter(c.transformer),
                     .transformer_2 = std::nullopt,
                     .vae = on_meter(c.vae),
                     .scheduler_config = c.scheduler_config,
                     .boundary_ratio = c.boundary_ratio,
                     .expand_timesteps = c.expand_timesteps,
                     .from_image = c.from_image,
                     .unmatched_adapters = {}};
  if (c.transformer_2) made.transformer_2 = on_meter(*c.transformer_2);
  for (umt5::Block& block : made.text_encoder.blocks) stand_in(block.attention);
  if (made.image_encoder)
    for (clip_vision::Layer& layer : made.image_encoder->layers) stand_in(layer.attention);
  return made;
}

MemoryPrediction prediction_of(const Components& components, const Meter& meter,
                               const Request& request, std::int64_t frames) {
  // Values as they arrive, and bytes.
  const auto frame = static_cast<std::size_t>(3 * request.width * request.height);
  const std::size_t code =
      kProgram + (components.vae_ctx.dtype == DType::F32 ? 0 : kHalfConvolutions);
  return {.weights = meter.weights(),
          .activations = meter.peak(),
          .peak = code + meter.weights() + meter.peak() +
                  frame * static_cast<std::size_t>(frames) * (sizeof(float) + 1)};
}

MemoryPrediction predict(const Components& components, const Request& request) {
  // As if this rank did all alone: an upper bound where there are several, and nobody has to wait.
  const std::unique_ptr<Communicator> alone = make_single_rank();
  const Mesh mesh(*alone, {});
  Meter meter(mesh);
  const Components metered = on_meter(components, meter);
  Request brief = request;
  brief.steps = std::min(request.steps, kSteps);
  const Run run = {metered, brief, {}};
  {
    Encoded encoded = encode_stage(run);
    const Denoised denoised = denoise_stage(run, encoded);
    encoded = {};
    decode_stage(run, denoised.latents, [](int, std::int64_t, const Image&) {});
  }
  // Tiles hold the frames of the whole video.
  return prediction_of(components, meter, request, tiling_for(request) ? request.frames : 8);
}

}  // namespace annulus::wan

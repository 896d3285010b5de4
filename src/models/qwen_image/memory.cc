#include "models/qwen_image/memory.h"

#include <algorithm>

#include "models/qwen_image/stages.h"
#include "pipeline/meter.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kWholeAtMost = 2048 * 2048;  // pixels that are decoded without tiles
constexpr int kSteps = 3;  // as many as a solver of several steps needs to hold all it ever holds

// What a process holds beside weights and activations, measured with storybook at 64 to 512 pixels
// on an AMX machine: the program and its libraries 14 MB, tokenizer and JSON 3 MB, oneDNN's
// generated code for f32 3 MB, segments of the memory pool that are not full 4 MB; oneDNN's code
// for convolutions in 16 bits takes 10 MB more.
constexpr std::size_t kProgram = 24'000'000, kHalfConvolutions = 10'000'000;

void stand_in(AttentionChoice& choice) {
  choice.backend = &Meter::attention();
}

qwen2_5_vl::Encoder on_meter(qwen2_5_vl::Encoder encoder) {
  for (qwen2_5_vl::DecoderLayer& layer : encoder.language.layers) stand_in(layer.attention);
  if (encoder.visual)
    for (qwen2_5_vl::VisionBlock& block : encoder.visual->blocks) stand_in(block.attention);
  return encoder;
}

Transformer on_meter(Transformer transformer) {
  for (Block& block : transformer.blocks) stand_in(block.attention);
  return transformer;
}

Vae on_meter(Vae vae) {
  for (auto& block : vae.encoder.down_blocks)
    if (auto* attention = std::get_if<AttentionBlock>(&block)) stand_in(attention->attention);
  stand_in(vae.encoder.mid_block.attention.attention);
  stand_in(vae.decoder.mid_block.attention.attention);
  return vae;
}

/// The same components in the meter's contexts. Weights stay where they are.
Components on_meter(const Components& c, Meter& meter) {
  return {.text_ctx = meter.context(c.text_ctx),
          .transformer_ctx = meter.context(c.transformer_ctx),
          .vae_ctx = meter.context(c.vae_ctx),
          .tokenizer = c.tokenizer,
          .text_encoder = on_meter(c.text_encoder),
          .image_processor = c.image_processor,
          .transformer = on_meter(c.transformer),
          .vae = on_meter(c.vae),
          .scheduler_config = c.scheduler_config,
          .unmatched_adapters = {}};
}

/// Values of a decoded picture on the host: as they arrive, in a list, and as bytes.
std::size_t picture_bytes(const Request& request) {
  const auto values = static_cast<std::size_t>(3 * request.width * request.height);
  return values * (sizeof(float) + sizeof(float)) +
         values * static_cast<std::size_t>(request.batch());
}

}  // namespace

std::optional<Tiling> tiling_for(const Request& request) {
  const bool on = request.vae_tiling == Request::VaeTiling::On ||
                  (request.vae_tiling == Request::VaeTiling::Auto &&
                   request.width * request.height > kWholeAtMost);
  return on ? std::optional<Tiling>(Tiling{}) : std::nullopt;
}

MemoryPrediction predict(const Components& components, const Variant& variant,
                         const Request& request) {
  // As if this rank did all alone: an upper bound where there are several, and nobody has to wait.
  const std::unique_ptr<Communicator> alone = make_single_rank();
  const Mesh mesh(*alone, {});
  Meter meter(mesh);
  const Components metered = on_meter(components, meter);
  Request brief = request;
  brief.start.reset();  // as from the beginning
  if (request.steps > kSteps) {
    brief.steps = kSteps;
    brief.sigmas.clear();
  }
  const Run run = {metered, variant, brief, {}};
  {
    Encoded encoded = encode_stage(run);
    const Denoised denoised = denoise_stage(run, encoded);
    encoded = {};
    const Tensor one = denoised.latents.slice(0, 0, 1);  // pictures are decoded one at a time
    decode_latents(run, one);
  }
  const std::size_t code =
      kProgram + (components.vae_ctx.dtype == DType::F32 ? 0 : kHalfConvolutions);
  return {.weights = meter.weights(),
          .activations = meter.peak(),
          .peak = code + meter.weights() + meter.peak() + picture_bytes(request)};
}

}  // namespace annulus::qwen_image

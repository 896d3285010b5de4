#include "models/qwen_image/pipeline.h"

#include <algorithm>

#include "models/qwen_image/memory.h"
#include "models/qwen_image/stages.h"
#include "pipeline/stopwatch.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

constexpr PictureSize kDefaultSize = {1024, 1024};

}  // namespace

Request QwenImagePipeline::complete(Request request) const {
  const auto pictures = static_cast<std::int64_t>(request.images.size());
  require(pictures >= variant_.least_pictures && pictures <= variant_.most_pictures,
          ErrorCode::InvalidRequest, "condition pictures: wanted ", variant_.least_pictures,
          variant_.most_pictures > variant_.least_pictures
              ? text_of(" ... ", variant_.most_pictures)
              : std::string(),
          " for ", variant_.class_name, ", found ", pictures);
  request.task = pictures > 0 ? Task::ImageEdit : Task::TextToImage;
  for (const auto& image : request.images)
    require(image != nullptr && image->width > 0 && image->height > 0 &&
                image->pixels.size() == std::size_t{3} * static_cast<std::size_t>(image->width) *
                                            static_cast<std::size_t>(image->height),
            ErrorCode::InvalidRequest, "condition picture: wanted width x height x 3 bytes");
  PictureSize fallback = kDefaultSize;
  if (pictures > 0) {  // as the last picture, which is the first where there is one
    const Image& last = *request.images.back();
    fallback = size_near(variant_.vae_area, {last.width, last.height});
  }
  Request made = complete_common(components_, defaults_, fallback, variant_.max_sequence_length,
                                 std::move(request));
  const auto scheduler = scheduler_for(components_, made);  // throws what it cannot do
  require((made.checkpoint_every == 0 && !made.start) || !scheduler->remembers(),
          ErrorCode::Unsupported, "checkpoint: wanted a scheduler whose steps stand alone, found ",
          scheduler->class_name());
  check_prompts(components_, variant_.chat, condition_sizes(components_, variant_, made).grids,
                made);
  return made;
}

MemoryPrediction QwenImagePipeline::predict_memory(const Request& request) const {
  return predict(components_, variant_, request);
}

Result QwenImagePipeline::generate(const Request& request, const Progress& progress) {
  const Run run = {components_, variant_, request, progress};
  Result result;
  const Stopwatch encoding;
  Encoded encoded = encode_stage(run);
  result.costs.encode_flop = encode_stage_flop(run, encoded);
  result.costs.encode_seconds = encoding.seconds();

  const Stopwatch denoising;
  Denoised denoised = denoise_stage(run, encoded);
  result.costs.denoise_flop = denoise_stage_flop(run, encoded);
  result.costs.step_seconds = std::move(denoised.step_seconds);
  result.costs.denoise_seconds = denoising.seconds();
  encoded = {};

  const Stopwatch decoding;
  result.images = decode_stage(run, denoised.latents);
  result.latents = cast(components_.vae_ctx.stream, denoised.latents, DType::F32);
  result.costs.decode_flop = decode_stage_flop(run);
  result.costs.decode_seconds = decoding.seconds();
  return result;
}

std::unique_ptr<Pipeline> load_pipeline(const Checkpoint& checkpoint, const LoadOptions& options) {
  for (const Variant& variant : variants())
    if (variant.class_name == checkpoint.pipeline_class())
      return std::make_unique<QwenImagePipeline>(
          load_components(checkpoint, options, variant.most_pictures > 0), variant,
          read_defaults(options.defaults));
  throw Error(ErrorCode::Unsupported,
              text_of("model: wanted a Qwen-Image pipeline, found ", checkpoint.pipeline_class()));
}

bool recognises(const Checkpoint& checkpoint) {
  const auto known = variants();
  return std::any_of(known.begin(), known.end(), [&](const Variant& variant) {
    return variant.class_name == checkpoint.pipeline_class();
  });
}

}  // namespace annulus::qwen_image

#include "models/wan/pipeline.h"

#include "models/wan/memory.h"
#include "nn/transfer.h"
#include "pipeline/stopwatch.h"
#include "tensor/copy.h"

namespace annulus::wan {

Request WanPipeline::complete(Request request) const {
  Request made = wan::complete(components_, defaults_, std::move(request));
  scheduler_for(components_, made);  // throws what it cannot do
  return made;
}

MemoryPrediction WanPipeline::predict_memory(const Request& request) const {
  return predict(components_, request);
}

Result WanPipeline::generate(const Request& request, const Progress& progress) {
  const Run run = {components_, request, progress};
  Result result;
  result.frames = request.frames;
  const Stopwatch encoding;
  Encoded encoded = encode_stage(run);
  result.costs.encode_flop = encode_stage_flop(run, encoded);
  result.costs.encode_seconds = encoding.seconds();

  const Stopwatch denoising;
  Denoised denoised = denoise_stage(run, encoded);
  result.costs.denoise_flop = denoise_stage_flop(run);
  result.costs.step_seconds = std::move(denoised.step_seconds);
  result.costs.denoise_seconds = denoising.seconds();
  encoded = {};

  const Stopwatch decoding;
  decode_stage(run, denoised.latents, [&](int index, std::int64_t frame, Image image) {
    if (progress.frame)
      progress.frame(index, frame, image);
    else
      result.images.push_back(std::move(image));
  });
  result.latents = cast(components_.vae_ctx.stream, denoised.latents, DType::F32);
  result.costs.decode_flop = decode_stage_flop(run);
  result.costs.decode_seconds = decoding.seconds();
  return result;
}

std::unique_ptr<Pipeline> load_pipeline(const Checkpoint& checkpoint, const LoadOptions& options) {
  return std::make_unique<WanPipeline>(load_components(checkpoint, options),
                                       read_defaults(options.defaults));
}

bool recognises(const Checkpoint& checkpoint) {
  return checkpoint.pipeline_class() == "WanPipeline" ||
         checkpoint.pipeline_class() == "WanImageToVideoPipeline";
}

}  // namespace annulus::wan

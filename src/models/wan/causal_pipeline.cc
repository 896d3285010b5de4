#include "models/wan/causal_pipeline.h"

#include <algorithm>

#include "base/random/torch_generator.h"
#include "models/vaes/qwen_image/flop.h"
#include "models/wan/latents.h"
#include "models/wan/memory.h"
#include "nn/transfer.h"
#include "parallel/shard.h"
#include "pipeline/meter.h"
#include "pipeline/stopwatch.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

constexpr int kLevels = 1000;

/// Levels of `steps` steps: 1000, 750, 500, 250 for four, as released models were distilled.
std::vector<int> levels_of(int steps) {
  std::vector<int> levels;
  for (int i = 0; i < steps; ++i) levels.push_back(kLevels * (steps - i) / steps);
  return levels;
}

/// Standard normal numbers of one video: all of its noise first, then what each block asks for.
class Noise {
 public:
  Noise(const Context& ctx, std::uint64_t seed) : ctx_(ctx), generator_(seed) {}
  Tensor draw(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    generator_.randn(std::span<float>(values));
    return to_device(ctx_, values, shape, ctx_.wide);
  }

 private:
  const Context& ctx_;
  TorchGenerator generator_;
};

/// One video of a run, block by block.
class Video {
 public:
  Video(const Run& run, const CausalDefaults& defaults, const Encoded& encoded, int index)
      : run_(run),
        defaults_(defaults),
        index_(index),
        grid_(video_grid(run.components, run.request)),
        size_(latent_size(run.components, run.request)),
        prompt_(prepare_prompt(ctx(), model(), encoded.texts[0].slice(0, index, index + 1))),
        causal_(ctx(), model(), prompt_, grid_, defaults.options),
        noise_(ctx(), run.request.seeds[static_cast<std::size_t>(index)]),
        decoder_(run.components.vae_ctx, run.components.vae, size_.frames, size_.height,
                 &ctx().mesh.world()) {}

  /// [1, z_dim, frames, height, width]; frames go to `take` as they are made. `step` is called
  /// before each step.
  Tensor make(const std::function<void(int done)>& step, const FrameTaker& take,
              StageCosts& costs) {
    const std::vector<int> levels = levels_of(run_.request.steps);
    const FewSteps steps = few_steps(levels, defaults_.shift);
    const Tensor start = start_noise();
    Tensor all = Tensor::empty(start.shape(), ctx().wide, ctx().device);
    int done = 0;
    std::int64_t frame = 0;
    for (std::int64_t first = 0; first < grid_.frames;) {
      const std::int64_t count = std::min(defaults_.options.block_frames, grid_.frames - first);
      const Stopwatch denoising;
      step(done);
      const Tensor clean =
          whole(causal_.denoise(
                    first, count, share(start.slice(2, first, first + count), first), steps,
                    [&](int) { return renoise(first, count); },
                    [&](int, const Tensor&) { step(++done); }),
                first, count);
      check_finite(clean, first);
      Tensor to = all.slice(2, first, first + count);
      copy(ctx().stream, clean, to);
      costs.step_seconds.push_back(denoising.seconds());
      costs.denoise_seconds += denoising.seconds();
      const Stopwatch decoding;
      for (std::int64_t i = 0; i < count; ++i) decode(clean.slice(2, i, i + 1), frame, take);
      costs.decode_seconds += decoding.seconds();
      first += count;
    }
    return all;
  }

 private:
  const Context& ctx() const { return run_.components.transformer_ctx; }
  const Transformer& model() const { return run_.components.transformer; }

  Tensor start_noise() {
    const std::int64_t channels = run_.components.vae.config.z_dim;
    const Tensor drawn = noise_.draw({1, channels, size_.frames, size_.height, size_.width});
    if (!run_.request.latents) return drawn;
    return cast(ctx().stream, run_.request.latents->slice(0, index_, index_ + 1), ctx().wide);
  }

  /// Drawn frame by frame, all channels of each, as the reference does.
  Tensor renoise(std::int64_t first, std::int64_t count) {
    const std::int64_t channels = run_.components.vae.config.z_dim;
    return share(
        noise_.draw({1, count, channels, size_.height, size_.width}).permute({0, 2, 1, 3, 4}),
        first);
  }

  /// This rank's rows of latents [1, z_dim, count, height, width].
  Tensor share(const Tensor& latents, std::int64_t first) {
    const Placed& video = causal_.place(first, latents.shape()[2]);
    return shard(ctx(), packed(ctx(), latents, model().config.patch_size), 1, video.sequence);
  }

  Tensor whole(const Tensor& rows, std::int64_t first, std::int64_t count) {
    const Placed& video = causal_.place(first, count);
    return unpacked(ctx(), gather(ctx(), rows, 1, video.sequence), model().config.patch_size,
                    {count, size_.height, size_.width});
  }

  void check_finite(const Tensor& x, std::int64_t first) const {
    require(
        required_op(ctx().ops.all_finite, "all_finite")(ctx().stream, ctx().workspace, {.x = x}),
        ErrorCode::NonFinite, "denoise: wanted finite numbers, found NaN or Inf (block from ",
        "latent frame ", first, ")");
  }

  void decode(const Tensor& latents, std::int64_t& frame, const FrameTaker& take) {
    const Components& c = run_.components;
    const Tensor one = contiguous(c.vae_ctx.stream, latents.permute({0, 2, 3, 4, 1}));
    const qwen_image::HostTensor pixels =
        decoder_.next(qwen_image::denormalised(c.vae_ctx, c.vae.config, one));
    if (pixels.values.empty()) return;  // another rank has them
    for (std::int64_t i = 0; i < pixels.shape[1]; ++i) take(index_, frame++, image_of(pixels, i));
  }

  const Run& run_;
  const CausalDefaults& defaults_;
  int index_;
  VideoGrid grid_;
  LatentSize size_;
  Prompt prompt_;
  CausalVideo causal_;
  Noise noise_;
  qwen_image::VideoDecoder decoder_;
};

/// Each row sees at most the window's frames; a step more writes the clean keys.
double denoise_flop(const Components& c, const CausalDefaults& defaults, const Request& request) {
  const VideoGrid grid = video_grid(c, request);
  const std::int64_t block = defaults.options.block_frames;
  const std::int64_t window = defaults.options.window.window;
  double flop = prepare_flop(c.transformer.config, request.max_sequence_length, 0);
  for (std::int64_t first = 0; first < grid.frames; first += block) {
    const std::int64_t count = std::min(block, grid.frames - first);
    const std::int64_t seen = window > 0 ? std::min(window, first + count) : first + count;
    flop +=
        (request.steps + 1) * forward_flop(c.transformer.config, count * grid.frame_rows(),
                                           seen * grid.frame_rows(), request.max_sequence_length);
  }
  return flop;
}

}  // namespace

CausalDefaults read_causal_defaults(const Json& json) {
  CausalDefaults d;
  if (json.is_null()) return d;
  const Defaults common = d.common;
  d.common = read_defaults(json);
  if (!json.has("steps")) d.common.steps = common.steps;
  d.common.guidance_scale = common.guidance_scale;
  d.options.block_frames = json.get<std::int64_t>("block_frames", d.options.block_frames);
  d.options.window.window = json.get<std::int64_t>("window", d.options.window.window);
  d.options.window.sink = json.get<std::int64_t>("sink", d.options.window.sink);
  const CausalOptions& o = d.options;
  if (o.block_frames < 1 || o.block_frames > 1024) json["block_frames"].fail("1 ... 1024");
  if (o.window.sink < 0 || o.window.window < 0 || o.window.window > (1 << 20) ||
      (o.window.window > 0 && o.window.window - o.window.sink < o.block_frames))
    json.fail("a window with room for a block beside the sink, or 0 for all frames");
  d.shift = json.get<double>("shift", d.shift);
  if (!(d.shift > 0 && d.shift <= 1000)) json["shift"].fail("a number above 0, at most 1000");
  return d;
}

Request CausalWanPipeline::complete(Request request) const {
  Request made = wan::complete(components_, defaults_.common, std::move(request));
  require(*made.true_cfg_scale <= 1, ErrorCode::InvalidRequest,
          "guidance scale: wanted at most 1 (the model was distilled without guidance), found ",
          *made.true_cfg_scale);
  require(made.preview_every == 0, ErrorCode::InvalidRequest,
          "preview_every: wanted 0 (frames come as they are made), found ", made.preview_every);
  require(made.vae_tiling != Request::VaeTiling::On, ErrorCode::InvalidRequest,
          "vae_tiling: wanted auto or off (frames are decoded as they come, whole), found on");
  few_steps(levels_of(made.steps), defaults_.shift);  // throws what cannot be done
  return made;
}

Result CausalWanPipeline::generate(const Request& request, const Progress& progress) {
  const Run run = {components_, request, progress};
  Result result;
  result.frames = request.frames;
  const Stopwatch encoding;
  const Encoded encoded = encode_stage(run);
  result.costs.encode_flop = encode_stage_flop(run, encoded);
  result.costs.encode_seconds = encoding.seconds();
  const std::int64_t block = defaults_.options.block_frames;
  const std::int64_t blocks = (video_grid(components_, request).frames + block - 1) / block;
  const auto steps = static_cast<int>(blocks * request.steps), total = request.batch() * steps;
  const FrameTaker take = [&](int index, std::int64_t frame, Image image) {
    if (progress.frame)
      progress.frame(index, frame, image);
    else
      result.images.push_back(std::move(image));
  };
  Tensor all;
  for (int i = 0; i < request.batch(); ++i) {
    Video video(run, defaults_, encoded, i);
    const Tensor latents = video.make(
        [&](int done) { progress.at("denoise", i * steps + done, total); }, take, result.costs);
    if (!all.defined())
      all = Tensor::empty(latents.shape().with(0, request.batch()), DType::F32,
                          components_.vae_ctx.device);
    Tensor to = all.slice(0, i, i + 1);
    copy(components_.vae_ctx.stream, latents, to);
  }
  result.latents = all;
  result.costs.denoise_flop = request.batch() * denoise_flop(components_, defaults_, request);
  result.costs.decode_flop = decode_stage_flop(run);
  return result;
}

MemoryPrediction CausalWanPipeline::predict_memory(const Request& request) const {
  const std::unique_ptr<Communicator> alone = make_single_rank();
  const Mesh mesh(*alone, {});
  Meter meter(mesh);
  const Components metered = on_meter(components_, meter);
  Request brief = request;
  brief.steps = 2;
  const Run run = {metered, brief, {}};
  {
    const Encoded encoded = encode_stage(run);
    StageCosts costs;
    Video(run, defaults_, encoded, 0)
        .make([](int) {}, [](int, std::int64_t, const Image&) {}, costs);
  }
  return prediction_of(metered, meter, request, 8);
}

std::unique_ptr<Pipeline> load_causal_pipeline(const Checkpoint& checkpoint,
                                               const LoadOptions& options) {
  return std::make_unique<CausalWanPipeline>(load_components(checkpoint, options),
                                             read_causal_defaults(options.defaults));
}

bool recognises_causal(const Checkpoint& checkpoint) {
  return checkpoint.pipeline_class() == "WanCausalDMDPipeline";
}

}  // namespace annulus::wan

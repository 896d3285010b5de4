#include "models/qwen_image/pipeline.h"

#include <algorithm>
#include <chrono>

#include "models/qwen_image/latents.h"
#include "models/qwen_image/memory.h"
#include "models/qwen_image/pictures.h"
#include "models/qwen_image/preview.h"
#include "models/vaes/qwen_image/cost.h"
#include "nn/transfer.h"
#include "pipeline/denoise.h"
#include "pipeline/initial_noise.h"
#include "schedulers/shift.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

constexpr PictureSize kDefaultSize = {1024, 1024};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A prompt's conditioning, and what the transformer makes of it once.
struct PromptBranch {
  std::vector<std::int64_t> lengths;
  Prepared prepared;
};

/// All that a run works with.
struct Run {
  const Components& components;
  const Variant& variant;
  const Request& request;
  const Progress& progress;
};

/// Latents of the picture that is made.
PatchGrid target_grid(const Components& components, const Request& request) {
  const std::int64_t unit = size_unit(components);
  return {1, request.height / unit, request.width / unit};
}

void tap_conditioning(const Context& ctx, const Conditioning& made, const std::string& name,
                      const Tap& tap) {
  if (!tap) return;
  tap(name + "_embeds", made.embeds);
  const std::int64_t seq = made.embeds.shape()[1];
  std::vector<std::int32_t> mask;
  for (const std::int64_t length : made.lengths)
    for (std::int64_t i = 0; i < seq; ++i) mask.push_back(i < length ? 1 : 0);
  tap(name + "_mask", to_device(ctx, mask, {static_cast<std::int64_t>(made.lengths.size()), seq}));
}

PromptBranch make_branch(const Run& run, const std::vector<std::string>& prompts,
                         const Conditions& conditions, std::span<const PatchGrid> grids,
                         const std::string& name) {
  const Components& c = run.components;
  const Conditioning made = qwen2_5_vl::encode_prompts(
      c.text_ctx, c.text_encoder, *c.tokenizer, run.variant.chat, prompts,
      conditions.features ? &*conditions.features : nullptr, run.variant.positions);
  tap_conditioning(c.text_ctx, made, name, run.progress.tap);
  return {made.lengths, prepare(c.transformer_ctx, c.transformer, made, grids)};
}

/// Latents [batch, target rows, channels] followed by condition pictures, the same for every entry.
class ModelInput {
 public:
  ModelInput(const Context& ctx, const Tensor& conditions, std::int64_t batch,
             std::int64_t target_rows)
      : ctx_(ctx), target_rows_(target_rows) {
    if (!conditions.defined()) return;
    const Shape& s = conditions.shape();
    joined_ = Tensor::empty({batch, target_rows + s[1], s[2]}, ctx.wide, ctx.device);
    Tensor tail = joined_.slice(1, target_rows, target_rows + s[1]);
    copy(ctx.stream, conditions.expand(tail.shape()), tail);
  }

  Tensor with(const Tensor& latents) const {
    if (!joined_.defined()) return latents;
    Tensor head = joined_.slice(1, 0, target_rows_);
    copy(ctx_.stream, latents, head);
    return joined_;
  }

 private:
  const Context& ctx_;
  std::int64_t target_rows_;
  Tensor joined_;
};

std::unique_ptr<Scheduler> make_scheduler(const Run& run, std::int64_t target_rows) {
  const Json& config = run.components.scheduler_config;
  std::unique_ptr<Scheduler> scheduler = load_scheduler(config);
  const ShiftRange usual;
  const ShiftRange range = {
      .base_image_seq_len = config.get<double>("base_image_seq_len", usual.base_image_seq_len),
      .max_image_seq_len = config.get<double>("max_image_seq_len", usual.max_image_seq_len),
      .base_shift = config.get<double>("base_shift", usual.base_shift),
      .max_shift = config.get<double>("max_shift", usual.max_shift)};
  std::vector<double> sigmas(run.request.sigmas.begin(), run.request.sigmas.end());
  const int steps = run.request.steps;
  for (int i = 0; sigmas.size() < static_cast<std::size_t>(steps); ++i) {  // 1 ... 1 / steps
    const double last = 1.0 / steps;
    sigmas.push_back(steps == 1 ? 1.0 : 1.0 + i * ((last - 1.0) / (steps - 1)));
  }
  scheduler->set_timesteps({.steps = steps, .sigmas = sigmas, .mu = shift_mu(target_rows, range)});
  return scheduler;
}

Tensor start_latents(const Run& run, const PatchGrid& grid) {
  const Context& ctx = run.components.transformer_ctx;
  if (run.request.latents) return cast(ctx.stream, *run.request.latents, ctx.wide);
  const std::int64_t channels = run.components.vae.config.z_dim;
  const Tensor noise =
      initial_noise(ctx, run.request.seeds, {1, channels, 2 * grid.height, 2 * grid.width});
  return packed(ctx, noise.permute({0, 1, 3, 4, 2}));
}

Denoised run_steps(const Run& run, const std::vector<PromptBranch>& branches,
                   const Tensor& condition_latents, const PatchGrid& grid) {
  const Components& c = run.components;
  const Context& ctx = c.transformer_ctx;
  const std::int64_t batch = run.request.batch(), rows = grid.tokens();
  const std::unique_ptr<Scheduler> scheduler = make_scheduler(run, rows);
  const ModelInput input(ctx, condition_latents, batch, rows);
  const auto predict = [&](const PromptBranch& branch) -> Predict {
    return [&, rows](const Tensor& latents, int index) {
      // In f32, as the reference divides.
      const float sigma = scheduler->timesteps()[static_cast<std::size_t>(index)] / 1000.0f;
      const std::vector<double> timesteps(static_cast<std::size_t>(batch), double{sigma});
      return forward(ctx, c.transformer, branch.prepared,
                     {.latents = input.with(latents), .timesteps = timesteps}, rows);
    };
  };
  DenoiseArgs args = {.scheduler = *scheduler,
                      .cond = predict(branches[0]),
                      .uncond = branches.size() > 1 ? predict(branches[1]) : Predict{},
                      .guidance = {.scale = *run.request.true_cfg_scale, .rescale = true},
                      .preview_every = run.progress.preview ? run.request.preview_every : 0};
  args.preview = [&](int steps, const Tensor& clean) {
    for (std::int64_t i = 0; i < batch; ++i)
      run.progress.preview(static_cast<int>(i), steps,
                           preview_of(c.vae_ctx, c.vae, clean.slice(0, i, i + 1), grid));
  };
  return denoise(ctx, args, start_latents(run, grid), run.progress);
}

/// One picture at a time: memory for one, the same values.
std::vector<Image> decode_pictures(const Run& run, const Tensor& latents, const PatchGrid& grid,
                                   const std::optional<Tiling>& tiling) {
  const Components& c = run.components;
  const Context& ctx = c.vae_ctx;
  const int batch = run.request.batch();
  std::vector<Image> images;
  std::vector<float> values;  // of all pictures, for the tap
  for (int i = 0; i < batch; ++i) {
    run.progress.at("decode", i, batch);
    const Tensor patches = latents.slice(0, i, i + 1);
    const Tensor z =
        denormalised(ctx, c.vae.config, unpacked(ctx, patches, 2 * grid.height, 2 * grid.width));
    Progress quiet = run.progress;  // the stage counts pictures, not tiles
    quiet.report = {};
    quiet.tap = {};
    const HostTensor pixels = decode(ctx, c.vae, z, tiling, quiet);
    images.push_back(picture_of(pixels, 0));
    if (!run.progress.tap) continue;
    const std::vector<float> one = unit_range(pixels, 0);
    values.insert(values.end(), one.begin(), one.end());
  }
  if (run.progress.tap)
    run.progress.tap(
        "image",
        to_device(ctx, values, {batch, run.request.height, run.request.width, 3}, ctx.wide));
  run.progress.at("decode", batch, batch);
  return images;
}

double encode_flop(const Run& run, const std::vector<PromptBranch>& branches,
                   const ConditionSizes& sizes) {
  const Components& c = run.components;
  double flop = sizes.grids.empty() ? 0 : qwen2_5_vl::vision_flop(c.text_encoder, sizes.grids);
  for (const PictureSize& size : sizes.vae)
    flop += encode_cost(c.vae.config, 1, size.height, size.width, 4).flop;
  for (const PromptBranch& branch : branches)
    flop += qwen2_5_vl::encode_flop(c.text_encoder, run.variant.chat, branch.lengths);
  return flop;
}

double denoise_flop(const Run& run, const std::vector<PromptBranch>& branches) {
  double flop = 0;
  for (const PromptBranch& branch : branches) {
    const TransformerConfig& config = run.components.transformer.config;
    const Prepared& p = branch.prepared;
    flop += prepare_flop(config, branch.lengths) +
            run.request.steps * forward_flop(config, p.img_seq, branch.lengths, p.target_seq);
  }
  return flop;
}

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
  if (pictures > 0) {  // as the last picture, which the one-picture class's only one is
    const Image& last = *request.images.back();
    fallback = size_near(kDefaultSize.width * kDefaultSize.height, {last.width, last.height});
    if (variant_.vae_area != kDefaultSize.width * kDefaultSize.height)
      fallback = size_near(variant_.vae_area, {last.width, last.height});
  }
  Request made = complete_common(components_, defaults_, fallback, std::move(request));
  const ConditionSizes sizes =
      pictures > 0 ? condition_sizes(components_, variant_, made) : ConditionSizes{};
  check_prompts(components_, variant_.chat, sizes.grids, made);
  return made;
}

MemoryPrediction QwenImagePipeline::predict_memory(const Request& request) const {
  return predict(components_, variant_, request);
}

Result QwenImagePipeline::generate(const Request& request, const Progress& progress) {
  const Run run = {components_, variant_, request, progress};
  const PatchGrid grid = target_grid(components_, request);
  Result result;

  const Stopwatch encoding;
  progress.at("encode", 0, 1);
  Conditions conditions = encode_conditions(
      components_, variant_, request,
      request.vae_tiling == Request::VaeTiling::On ? std::optional<Tiling>(Tiling{}) : std::nullopt,
      progress);
  if (conditions.latents.defined() && progress.tap)
    progress.tap("image_latents", conditions.latents);
  const ConditionSizes sizes =
      request.images.empty() ? ConditionSizes{} : condition_sizes(components_, variant_, request);
  std::vector<PatchGrid> grids = {grid};
  grids.insert(grids.end(), sizes.patches.begin(), sizes.patches.end());
  std::vector<PromptBranch> branches;
  branches.push_back(make_branch(run, request.prompts, conditions, grids, "prompt"));
  if (*request.true_cfg_scale > 1)
    branches.push_back(
        make_branch(run, request.negative_prompts, conditions, grids, "negative_prompt"));
  conditions.features.reset();
  result.costs.encode_flop = encode_flop(run, branches, sizes);
  result.costs.encode_seconds = encoding.seconds();
  progress.at("encode", 1, 1);

  const Stopwatch denoising;
  Denoised denoised = run_steps(run, branches, conditions.latents, grid);
  result.costs.denoise_flop = denoise_flop(run, branches);
  result.costs.step_seconds = std::move(denoised.step_seconds);
  result.costs.denoise_seconds = denoising.seconds();
  branches.clear();
  conditions = {};

  const Stopwatch decoding;
  const Context& ctx = components_.vae_ctx;
  result.images = decode_pictures(run, denoised.latents, grid, tiling_for(request));
  result.latents = cast(ctx.stream, denoised.latents, DType::F32);
  result.costs.decode_flop =
      static_cast<double>(request.batch()) *
      decode_cost(components_.vae.config, 1, 2 * grid.height, 2 * grid.width, 4).flop;
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

#include "models/qwen_image/stages.h"

#include "models/qwen_image/latents.h"
#include "models/qwen_image/memory.h"
#include "models/qwen_image/pictures.h"
#include "models/qwen_image/preview.h"
#include "models/vaes/qwen_image/flop.h"
#include "nn/transfer.h"
#include "parallel/shard.h"
#include "pipeline/dealt_conditioning.h"
#include "pipeline/initial_noise.h"
#include "schedulers/shift.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

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

Conditioning encode(const Run& run, std::span<const std::string> prompts,
                    const Conditions& conditions) {
  const Components& c = run.components;
  return qwen2_5_vl::encode_prompts(c.text_ctx, c.text_encoder, *c.tokenizer, run.variant.chat,
                                    prompts, conditions.features ? &*conditions.features : nullptr,
                                    run.variant.positions);
}

/// Latents [batch, target rows, channels] followed by condition pictures, the same for every entry;
/// all are this rank's rows.
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

/// This rank's rows of each condition picture; undefined where there is none.
Tensor conditions_here(const Context& ctx, const Encoded& encoded) {
  if (!encoded.condition_latents.defined()) return {};
  Sequence pictures = encoded.branches[0].prepared.sequence;
  pictures.segments.pop_back();                        // text
  pictures.segments.erase(pictures.segments.begin());  // the target
  return shard(ctx, encoded.condition_latents, 1, pictures);
}

Tensor start_latents(const Run& run, const PatchGrid& grid) {
  const Context& ctx = run.components.transformer_ctx;
  if (run.request.start) return cast(ctx.stream, run.request.start->latents, ctx.wide);
  if (run.request.latents) return cast(ctx.stream, *run.request.latents, ctx.wide);
  const std::int64_t channels = run.components.vae.config.z_dim;
  const Tensor noise =
      initial_noise(ctx, run.request.seeds, {1, channels, 2 * grid.height, 2 * grid.width});
  return packed(ctx, noise.permute({0, 1, 3, 4, 2}));
}

/// Image rows over all ranks.
std::int64_t img_rows(const Prepared& prepared) {
  return prepared.sequence.rows() - prepared.sequence.segments.back().rows;
}

}  // namespace

PatchGrid target_grid(const Components& components, const Request& request) {
  const std::int64_t unit = size_unit(components);
  return {1, request.height / unit, request.width / unit};
}

std::unique_ptr<Scheduler> scheduler_for(const Components& components, const Request& request) {
  const Json& config = components.scheduler_config;
  std::unique_ptr<Scheduler> scheduler = load_scheduler(config);
  const std::string_view name = scheduler->class_name();
  require(
      name != "EulerDiscreteScheduler" && (name != "DPMSolverMultistepScheduler" ||
                                           config.get<bool>("use_dynamic_shifting", false)),
      ErrorCode::Unsupported,
      "scheduler: wanted one that takes sigmas and a shift, as FlowMatchEulerDiscreteScheduler, "
      "found ",
      name, " (", config.where(), ")");
  const ShiftRange usual;
  const ShiftRange range = {
      .base_image_seq_len = config.get<double>("base_image_seq_len", usual.base_image_seq_len),
      .max_image_seq_len = config.get<double>("max_image_seq_len", usual.max_image_seq_len),
      .base_shift = config.get<double>("base_shift", usual.base_shift),
      .max_shift = config.get<double>("max_shift", usual.max_shift)};
  if (range.max_image_seq_len == range.base_image_seq_len)
    config["max_image_seq_len"].fail("another length than base_image_seq_len");
  const int steps = request.steps;
  std::vector<double> sigmas(request.sigmas.begin(), request.sigmas.end());
  const double step = steps > 1 ? (1.0 / steps - 1.0) / (steps - 1) : 0;
  for (int i = 0; sigmas.size() < static_cast<std::size_t>(steps); ++i)
    sigmas.push_back(1.0 + i * step);  // 1 ... 1 / steps
  scheduler->set_timesteps({.steps = steps,
                            .sigmas = sigmas,
                            .mu = shift_mu(target_grid(components, request).tokens(), range)});
  return scheduler;
}

Encoded encode_stage(const Run& run) {
  const Request& request = run.request;
  run.progress.at("encode", 0, 1);
  run.components.text_ctx.mesh.world().mark("encoding");
  const Conditions conditions = encode_conditions(
      run.components, run.variant, request,
      request.vae_tiling == Request::VaeTiling::On ? std::optional<Tiling>(Tiling{}) : std::nullopt,
      run.progress);
  if (conditions.latents.defined() && run.progress.tap)
    run.progress.tap("image_latents", conditions.latents);

  const ConditionSizes sizes = condition_sizes(run.components, run.variant, request);
  std::vector<PatchGrid> grids = {target_grid(run.components, request)};
  grids.insert(grids.end(), sizes.patches.begin(), sizes.patches.end());
  std::vector<std::vector<std::string>> lists = {request.prompts};
  if (*request.true_cfg_scale > 1) lists.push_back(request.negative_prompts);
  const Components& c = run.components;
  Encoded made;
  const auto encode_list = [&](std::span<const std::string> prompts) {
    return encode(run, prompts, conditions);
  };
  for (const Conditioning& text : encode_in_turn(c.text_ctx, lists, encode_list)) {
    tap_conditioning(c.text_ctx, text, made.branches.empty() ? "prompt" : "negative_prompt",
                     run.progress.tap);
    made.branches.push_back({text.lengths, prepare(c.transformer_ctx, c.transformer, text, grids)});
  }
  made.condition_latents = conditions.latents;
  run.progress.at("encode", 1, 1);
  return made;
}

Denoised denoise_stage(const Run& run, const Encoded& encoded) {
  const Components& c = run.components;
  const Context& ctx = c.transformer_ctx;
  const PatchGrid grid = target_grid(c, run.request);
  const Prepared& prepared = encoded.branches[0].prepared;
  const std::int64_t batch = run.request.batch(), rows = prepared.target_seq;
  const std::unique_ptr<Scheduler> scheduler = scheduler_for(c, run.request);
  const ModelInput input(ctx, conditions_here(ctx, encoded), batch, rows);
  const auto predict = [&](const PromptBranch& branch) -> Predict {
    return [&, rows](const Tensor& latents, int index) {
      // In f32, as the reference divides.
      const float sigma = scheduler->timesteps()[static_cast<std::size_t>(index)] / 1000.0f;
      const std::vector<double> timesteps(static_cast<std::size_t>(batch), double{sigma});
      return forward(ctx, c.transformer, branch.prepared,
                     {.latents = input.with(latents),
                      .timesteps = timesteps,
                      .place = text_of("step ", index + 1, " of ", scheduler->steps())},
                     rows);
    };
  };
  DenoiseArgs args = {
      .scheduler = *scheduler,
      .cond = predict(encoded.branches[0]),
      .uncond = encoded.branches.size() > 1 ? predict(encoded.branches[1]) : Predict{},
      .guidance = {.scale = *run.request.true_cfg_scale, .rescale = true},
      .preview_every = run.progress.preview ? run.request.preview_every : 0,
      .checkpoint_every = run.progress.checkpoint ? run.request.checkpoint_every : 0,
      .first_step = run.request.start ? run.request.start->steps : 0};
  args.checkpoint = [&](int steps, const Tensor& latents) {
    const Tensor whole = gather(ctx, latents, 1, prepared.targets);
    if (ctx.mesh.world().rank() == 0) run.progress.checkpoint(steps, whole);
  };
  args.preview = [&](int steps, const Tensor& clean) {
    const Tensor whole = gather(ctx, clean, 1, prepared.targets);
    if (ctx.mesh.world().rank() != 0) return;
    for (std::int64_t i = 0; i < batch; ++i)
      run.progress.preview(static_cast<int>(i), steps,
                           preview_of(c.vae_ctx, c.vae, whole.slice(0, i, i + 1), grid));
  };
  // Noise is drawn whole, so that it is the same on any number of ranks; latents stay divided from
  // here through all steps.
  const Tensor start = shard(ctx, start_latents(run, grid), 1, prepared.targets);
  Denoised made = denoise(ctx, args, start, run.progress);
  made.latents = gather(ctx, made.latents, 1, prepared.targets);
  return made;
}

HostTensor decode_latents(const Run& run, const Tensor& latents) {
  const Components& c = run.components;
  const Context& ctx = c.vae_ctx;
  const PatchGrid grid = target_grid(c, run.request);
  Progress quiet = run.progress;  // the stage counts pictures, not tiles
  quiet.report = {};
  quiet.tap = {};
  const Tensor z =
      denormalised(ctx, c.vae.config, unpacked(ctx, latents, 2 * grid.height, 2 * grid.width));
  if (ctx.row_block == 0)
    return decode(ctx, c.vae, z, tiling_for(run.request), quiet, &ctx.mesh.world());
  // Bands would give other bits for other numbers of ranks.
  quiet.cancelled = {};  // the others are not asked
  if (ctx.mesh.world().rank() != 0) return {};
  return decode(ctx, c.vae, z, tiling_for(run.request), quiet);
}

std::vector<Image> decode_stage(const Run& run, const Tensor& latents) {
  const int batch = run.request.batch();
  std::vector<Image> images;
  std::vector<float> values;  // of all pictures, for the tap
  for (int i = 0; i < batch; ++i) {
    run.progress.at("decode", i, batch);
    run.components.vae_ctx.mesh.world().mark(text_of("decoding picture ", i + 1, " of ", batch));
    const HostTensor pixels = decode_latents(run, latents.slice(0, i, i + 1));
    if (pixels.values.empty()) continue;  // another rank has the picture
    images.push_back(picture_of(pixels, 0));
    if (!run.progress.tap) continue;
    const std::vector<float> one = unit_range(pixels, 0);
    values.insert(values.end(), one.begin(), one.end());
  }
  const Context& ctx = run.components.vae_ctx;
  if (run.progress.tap)
    run.progress.tap(
        "image",
        to_device(ctx, values, {batch, run.request.height, run.request.width, 3}, ctx.wide));
  run.progress.at("decode", batch, batch);
  return images;
}

double encode_stage_flop(const Run& run, const Encoded& encoded) {
  const Components& c = run.components;
  const ConditionSizes sizes = condition_sizes(c, run.variant, run.request);
  double flop = sizes.grids.empty() ? 0 : qwen2_5_vl::vision_flop(c.text_encoder, sizes.grids);
  for (const PictureSize& size : sizes.vae)
    flop += encode_flop(c.vae.config, 1, size.height, size.width);
  for (const PromptBranch& branch : encoded.branches)
    flop += qwen2_5_vl::encode_flop(c.text_encoder, run.variant.chat, branch.lengths);
  return flop;
}

double denoise_stage_flop(const Run& run, const Encoded& encoded) {
  const TransformerConfig& config = run.components.transformer.config;
  double flop = 0;
  for (const PromptBranch& branch : encoded.branches)
    flop += prepare_flop(config, branch.lengths) +
            run.request.steps * forward_flop(config, img_rows(branch.prepared), branch.lengths,
                                             branch.prepared.targets.rows());
  return flop;
}

double decode_stage_flop(const Run& run) {
  const PatchGrid grid = target_grid(run.components, run.request);
  return run.request.batch() *
         decode_flop(run.components.vae.config, 1, 2 * grid.height, 2 * grid.width);
}

}  // namespace annulus::qwen_image

#include "models/wan/stages.h"

#include <algorithm>
#include <cmath>

#include "models/encoders/umt5/prompt.h"
#include "models/vaes/qwen_image/flop.h"
#include "models/wan/latents.h"
#include "models/wan/model_input.h"
#include "models/wan/preview.h"
#include "nn/transfer.h"
#include "parallel/shard.h"
#include "pipeline/dealt_conditioning.h"
#include "pipeline/initial_noise.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

constexpr std::int64_t kWholeAtMost = 1280 * 720;  // pixels of a frame that is decoded whole

/// Padded with zeros to `rows`: they are attended to.
Tensor padded(const Context& ctx, const Tensor& embeds, std::int64_t rows) {
  const Shape& s = embeds.shape();
  Tensor made = Tensor::empty(s.with(1, rows), ctx.wide, ctx.device);
  Tensor head = made.slice(1, 0, s[1]), tail = made.slice(1, s[1], rows);
  copy(ctx.stream, embeds, head);
  if (tail.elements() > 0) ctx.device.fill(ctx.stream, tail, 0);
  return made;
}

/// Which expert a step is for, and each prompt's keys in it. Keys of the other one are let go.
class Experts {
 public:
  Experts(const Run& run, const Encoded& encoded)
      : run_(run), encoded_(encoded), prompts_(encoded.texts.size()) {}

  bool second(double timestep) const {
    const Components& c = run_.components;
    const auto training = c.scheduler_config.get<double>("num_train_timesteps", 1000);
    return c.transformer_2 && timestep < *c.boundary_ratio * training;
  }

  const Transformer& model(double timestep) const {
    return second(timestep) ? *run_.components.transformer_2 : run_.components.transformer;
  }

  const Prompt& prompt(double timestep, std::size_t branch) {
    const Transformer& wanted = model(timestep);
    Kept& kept = prompts_[branch];
    if (kept.of == &wanted) return kept.prompt;
    kept = {};
    const Context& ctx = run_.components.transformer_ctx;
    const Tensor& image = encoded_.conditions.image_embeds;
    kept.prompt = prepare_prompt(
        ctx, wanted, encoded_.texts[branch],
        image.defined() && wanted.image_embedder
            ? contiguous(ctx.stream, image.expand(image.shape().with(0, run_.request.batch())))
            : Tensor());
    kept.of = &wanted;
    return kept.prompt;
  }

 private:
  struct Kept {
    const Transformer* of = nullptr;
    Prompt prompt;
  };
  const Run& run_;
  const Encoded& encoded_;
  std::vector<Kept> prompts_;
};

/// Noise [batch, z_dim, frames, height, width].
Tensor start_latents(const Run& run) {
  const Components& c = run.components;
  const Context& ctx = c.transformer_ctx;
  if (run.request.latents) return cast(ctx.stream, *run.request.latents, ctx.wide);
  const LatentSize size = latent_size(c, run.request);
  return initial_noise(ctx, run.request.seeds,
                       {c.vae.config.z_dim, size.frames, size.height, size.width});
}

/// Runs of frames that have a timestep of their own.
std::vector<std::int64_t> timed_frames(const VideoGrid& grid, bool first_given) {
  if (!first_given) return {grid.frames};
  if (grid.frames == 1) return {1};
  return {1, grid.frames - 1};
}

/// The first step's input and timesteps as the reference has them.
void tap_first(const Run& run, const VideoGrid& grid, const Tensor& input,
               const std::vector<double>& timesteps) {
  const Components& c = run.components;
  const Context& ctx = c.transformer_ctx;
  run.progress.tap("first_model_input",
                   unpacked(ctx, input, c.transformer.config.patch_size,
                            {grid.frames, grid.height * c.transformer.config.patch_size[1],
                             grid.width * c.transformer.config.patch_size[2]}));
  std::vector<double> all;
  const std::int64_t batch = run.request.batch();
  for (std::int64_t entry = 0; entry < batch; ++entry)
    for (std::int64_t row = 0; row < (c.expand_timesteps ? grid.rows() : 1); ++row)
      all.push_back(timesteps.size() > 1 && row >= grid.frame_rows() ? timesteps[1] : timesteps[0]);
  const Shape shape = c.expand_timesteps ? Shape{batch, grid.rows()} : Shape{batch};
  run.progress.tap("first_timestep", to_device(ctx, all, shape, ctx.wide));
}

/// Decoded values in [0, 1], as the reference's pipeline gives them.
class VideoTap {
 public:
  explicit VideoTap(const Run& run) : run_(run) {}
  void add(const qwen_image::HostTensor& frames) {
    if (!run_.progress.tap) return;
    for (const float x : frames.values) values_.push_back(std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f));
  }
  void tell() const {
    if (values_.empty()) return;
    const Request& r = run_.request;
    const Context& ctx = run_.components.vae_ctx;
    run_.progress.tap(
        "video", to_device(ctx, values_, {r.batch(), r.frames, r.height, r.width, 3}, ctx.wide));
  }

 private:
  const Run& run_;
  std::vector<float> values_;
};

}  // namespace

Image image_of(const qwen_image::HostTensor& frames, std::int64_t frame) {
  Image image = {static_cast<int>(frames.shape[3]), static_cast<int>(frames.shape[2]), {}};
  const auto count = static_cast<std::size_t>(frames.shape[2] * frames.shape[3] * frames.shape[4]);
  const auto values =
      std::span(frames.values).subspan(static_cast<std::size_t>(frame) * count, count);
  image.pixels.reserve(count);
  for (const float x : values) {
    require(std::isfinite(x), ErrorCode::NonFinite,
            "decode: wanted finite numbers, found NaN or Inf in a frame");
    image.pixels.push_back(static_cast<std::uint8_t>(
        std::nearbyint(std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f) * 255.0f)));
  }
  return image;
}

VideoGrid video_grid(const Components& components, const Request& request) {
  const LatentSize size = latent_size(components, request);
  const PatchSize& patch = components.transformer.config.patch_size;
  return {size.frames / patch[0], size.height / patch[1], size.width / patch[2]};
}

std::unique_ptr<Scheduler> scheduler_for(const Components& components, const Request& request) {
  std::unique_ptr<Scheduler> scheduler = load_scheduler(components.scheduler_config);
  scheduler->set_timesteps({.steps = request.steps});
  return scheduler;
}

std::optional<qwen_image::Tiling> tiling_for(const Request& request) {
  const bool on = request.vae_tiling == Request::VaeTiling::On ||
                  (request.vae_tiling == Request::VaeTiling::Auto &&
                   request.width * request.height > kWholeAtMost);
  return on ? std::optional<qwen_image::Tiling>(qwen_image::Tiling{}) : std::nullopt;
}

Encoded encode_stage(const Run& run) {
  const Components& c = run.components;
  const Request& request = run.request;
  run.progress.at("encode", 0, 1);
  c.text_ctx.mesh.world().mark("encoding");
  Encoded made;
  made.conditions = encode_conditions(c, request,
                                      request.vae_tiling == Request::VaeTiling::On
                                          ? std::optional<qwen_image::Tiling>(qwen_image::Tiling{})
                                          : std::nullopt,
                                      run.progress);
  std::vector<std::vector<std::string>> lists = {request.prompts};
  if (*request.true_cfg_scale > 1) lists.push_back(request.negative_prompts);
  const auto encode = [&](std::span<const std::string> prompts) {
    return umt5::encode_prompts(c.text_ctx, c.text_encoder, *c.tokenizer, prompts,
                                request.max_sequence_length);
  };
  for (const Conditioning& text : encode_in_turn(c.text_ctx, lists, encode)) {
    made.texts.push_back(padded(c.text_ctx, text.embeds, request.max_sequence_length));
    made.lengths.insert(made.lengths.end(), text.lengths.begin(), text.lengths.end());
    if (run.progress.tap)
      run.progress.tap(made.texts.size() == 1 ? "prompt_embeds" : "negative_prompt_embeds",
                       made.texts.back());
  }
  if (run.progress.tap && made.conditions.image_embeds.defined())
    run.progress.tap("image_embeds", made.conditions.image_embeds);
  run.progress.at("encode", 1, 1);
  return made;
}

Denoised denoise_stage(const Run& run, const Encoded& encoded) {
  const Components& c = run.components;
  const Context& ctx = c.transformer_ctx;
  const PatchSize& patch = c.transformer.config.patch_size;
  const VideoGrid grid = video_grid(c, run.request);
  const LatentSize size = latent_size(c, run.request);
  const bool given = c.expand_timesteps && encoded.conditions.latents.defined();
  const std::vector<std::int64_t> frames = timed_frames(grid, given);
  const Placed video = place_video(ctx, c.transformer, grid, frames);
  const std::unique_ptr<Scheduler> scheduler = scheduler_for(c, run.request);
  const ModelInput input(ctx, c, encoded.conditions, video, run.request.batch());
  Experts experts(run, encoded);
  const auto timestep_at = [&](int index) {
    return double{scheduler->timesteps()[static_cast<std::size_t>(index)]};
  };
  const auto predict = [&](std::size_t branch) -> Predict {
    return [&, branch](const Tensor& latents, int index) {
      const double t = timestep_at(index);
      std::vector<double> timesteps(frames.size(), t);
      if (given) timesteps.front() = 0;
      const Tensor rows = input.with(latents);
      if (run.progress.tap && index == 0 && branch == 0 && !video.shared)
        tap_first(run, grid, rows, timesteps);
      return forward(ctx, experts.model(t), experts.prompt(t, branch), video,
                     {.latents = rows,
                      .timesteps = timesteps,
                      .place = text_of("step ", index + 1, " of ", scheduler->steps())});
    };
  };
  DenoiseArgs args = {.scheduler = *scheduler,
                      .cond = predict(0),
                      .uncond = encoded.texts.size() > 1 ? predict(1) : Predict{},
                      .guidance = {.scale = *run.request.true_cfg_scale}};
  args.scale_at = [&](int index) {
    return experts.second(timestep_at(index)) ? *run.request.guidance_scale_2
                                              : *run.request.true_cfg_scale;
  };
  args.preview_every = run.progress.preview ? run.request.preview_every : 0;
  args.preview = [&](int steps, const Tensor& clean) {
    const Tensor whole = unpacked(ctx, gather(ctx, input.finished(clean), 1, video.sequence), patch,
                                  {size.frames, size.height, size.width});
    if (ctx.mesh.world().rank() != 0) return;
    for (int i = 0; i < run.request.batch(); ++i)
      run.progress.preview(i, steps, contact_sheet(c, whole.slice(0, i, i + 1)));
  };
  // Noise is drawn whole, so that it is the same on any number of ranks; latents stay divided from
  // here through all steps.
  const Tensor start = shard(ctx, packed(ctx, start_latents(run), patch), 1, video.sequence);
  Denoised made = denoise(ctx, args, start, run.progress);
  made.latents = unpacked(ctx, gather(ctx, input.finished(made.latents), 1, video.sequence), patch,
                          {size.frames, size.height, size.width});
  return made;
}

void decode_stage(const Run& run, const Tensor& latents, const FrameTaker& take) {
  const Components& c = run.components;
  const Context& ctx = c.vae_ctx;
  VideoTap tap(run);
  for (int i = 0; i < run.request.batch(); ++i) {
    ctx.mesh.world().mark(text_of("decoding video ", i + 1, " of ", run.request.batch()));
    const Tensor one = latents.slice(0, i, i + 1).permute({0, 2, 3, 4, 1});
    const Tensor z = qwen_image::denormalised(ctx, c.vae.config, contiguous(ctx.stream, one));
    std::int64_t frame = 0;
    Progress quiet = run.progress;
    quiet.tap = {};
    qwen_image::decode_video(ctx, c.vae, z, tiling_for(run.request), quiet, &ctx.mesh.world(),
                             [&](const qwen_image::HostTensor& frames) {
                               if (frames.values.empty()) return;  // another rank has them
                               tap.add(frames);
                               for (std::int64_t f = 0; f < frames.shape[1]; ++f)
                                 take(i, frame++, image_of(frames, f));
                             });
  }
  tap.tell();
  run.progress.at("decode", 1, 1);
}

double encode_stage_flop(const Run& run, const Encoded& encoded) {
  const Components& c = run.components;
  double flop = umt5::encode_flop(c.text_encoder.config, encoded.lengths);
  if (run.request.images.empty()) return flop;
  if (c.image_encoder)
    flop += static_cast<double>(run.request.images.size()) *
            clip_vision::encode_flop(c.image_encoder->config);
  return flop + qwen_image::encode_flop(c.vae.config, c.expand_timesteps ? 1 : run.request.frames,
                                        run.request.height, run.request.width);
}

double denoise_stage_flop(const Run& run) {
  const Components& c = run.components;
  const std::int64_t rows = video_grid(c, run.request).rows();
  const std::int64_t image =
      c.image_encoder
          ? c.image_encoder->config.rows() * static_cast<std::int64_t>(run.request.images.size())
          : 0;
  const double branches = run.request.batch() * (*run.request.true_cfg_scale > 1 ? 2.0 : 1.0);
  return branches * (prepare_flop(c.transformer.config, run.request.max_sequence_length, image) *
                         (c.transformer_2 ? 2 : 1) +
                     run.request.steps * forward_flop(c.transformer.config, rows, rows,
                                                      run.request.max_sequence_length + image));
}

double decode_stage_flop(const Run& run) {
  const LatentSize size = latent_size(run.components, run.request);
  return run.request.batch() *
         qwen_image::decode_flop(run.components.vae.config, size.frames, size.height, size.width);
}

}  // namespace annulus::wan

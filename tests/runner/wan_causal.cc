// Kinds "causal_chunks" and "causal_generate": Wan's transformer over a cache of past frames.
#include "components.h"
#include "kinds.h"
#include "models/wan/causal.h"
#include "models/wan/latents.h"
#include "parallel/shard.h"
#include "tensor/copy.h"
#include "wan.h"

namespace annulus::goldens {
namespace {

using namespace wan;

/// "wan/wan21/transformer" beside the case's own family.
Transformer base_of(const GoldenCase& golden, Workbench& bench) {
  const std::filesystem::path base = golden.json().get<std::string>("base");
  const Checkpoint checkpoint =
      Checkpoint::open(golden.model_folder().parent_path() / base.parent_path());
  return load_component(bench, checkpoint, base.filename().string(), load_transformer);
}

struct Video {
  const Context& ctx;
  const Transformer& model;
  Tensor latents;  // [1, channels, frames, height, width]
  VideoGrid grid;

  Video(const Context& context, const Transformer& transformer, const Tensor& whole)
      : ctx(context), model(transformer), latents(whole) {
    const Shape& s = whole.shape();
    const PatchSize& patch = transformer.config.patch_size;
    grid = {s[2], s[3] / patch[1], s[4] / patch[2]};
  }
  Tensor rows(const Tensor& part) const { return packed(ctx, part, model.config.patch_size); }
  Tensor whole(const Tensor& part, std::int64_t frames) const {
    return unpacked(ctx, part, model.config.patch_size,
                    {frames, latents.shape()[3], latents.shape()[4]});
  }
};

void put(const Context& ctx, const Tensor& part, std::int64_t first, Tensor& all) {
  Tensor to = all.slice(2, first, first + part.shape()[2]);
  copy(ctx.stream, part, to);
}

CausalOptions options_of(const Json& args) {
  return {.block_frames = args.get<std::int64_t>("chunk"),
          .window = {.window = args.get<std::int64_t>("window", 0),
                     .sink = args.get<std::int64_t>("sink", 0)}};
}

}  // namespace

void run_causal_chunks(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Context& ctx = bench.context();
  const Transformer model = base_of(golden, bench);
  const Json args = golden.json()["args"];
  const Video video(ctx, model, on_device(golden, bench, "hidden_states"));
  const Prompt prompt =
      prepare_prompt(ctx, model, on_device(golden, bench, "encoder_hidden_states"));
  const CausalOptions options = options_of(args);
  CausalVideo causal(ctx, model, prompt, video.grid, options);
  // The stored keys and values are those of all frames: a second run keeps them.
  CausalVideo keeping(ctx, model, prompt, video.grid, {options.block_frames, {}});
  const auto timesteps = args.get<std::vector<double>>("t");
  Tensor out = Tensor::empty(video.latents.shape(), ctx.wide, ctx.device);
  for (std::size_t i = 0; i < timesteps.size(); ++i) {
    const std::int64_t first = static_cast<std::int64_t>(i) * options.block_frames;
    const Tensor part = video.rows(video.latents.slice(2, first, first + options.block_frames));
    put(ctx,
        video.whole(causal.predict(first, options.block_frames, part, timesteps[i]),
                    options.block_frames),
        first, out);
    if (options.window.window == 0) continue;
    keeping.predict(first, options.block_frames, part, timesteps[i]);
  }
  comparison.add("out", out);
  const bool windowed = options.window.window > 0;
  const CausalVideo& kept = windowed ? keeping : causal;
  comparison.add("cache.block0.k", kept.caches().front().keys());
  comparison.add("cache.block0.v", kept.caches().front().values());
  if (!windowed)
    comparison.add("cache.last.k", kept.caches().back().keys());
  else  // what later blocks see depends on the window
    comparison.leave_out("cache.last.k", "frames outside the window are not kept");
}

void run_causal_generate(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Context& ctx = bench.context();
  const Transformer model = base_of(golden, bench);
  const Json args = golden.json()["args"];
  const Video video(ctx, model, on_device(golden, bench, "noise"));
  const Prompt prompt =
      prepare_prompt(ctx, model, on_device(golden, bench, "encoder_hidden_states"));
  const CausalOptions options = options_of(args);
  const FewSteps steps = few_steps(args.get<std::vector<int>>("steps"),
                                   golden.json()["scheduler"].get<double>("shift"));
  const auto count = static_cast<std::int64_t>(steps.sigmas.size());
  comparison.add("timesteps", std::span<const double>(steps.timesteps), {count});
  comparison.add("sigmas_of_steps", std::span<const double>(steps.sigmas), {count});
  CausalVideo causal(ctx, model, prompt, video.grid, options);
  Tensor all = Tensor::empty(video.latents.shape(), ctx.wide, ctx.device);
  for (std::int64_t first = 0; first < video.grid.frames; first += options.block_frames) {
    const std::string chunk = text_of("chunk", first / options.block_frames, ".step");
    const auto renoise = [&](int step) {
      const Tensor stored = on_device(golden, bench, text_of("renoise.", chunk, step));
      return video.rows(stored.permute({0, 2, 1, 3, 4}));  // frames come before channels there
    };
    const auto told = [&](int step, const Tensor& clean) {
      comparison.add(text_of(chunk, step, ".x0"), video.whole(clean, options.block_frames));
    };
    const Tensor noise = video.rows(video.latents.slice(2, first, first + options.block_frames));
    const Tensor clean = causal.denoise(first, options.block_frames, noise, steps, renoise, told);
    put(ctx, video.whole(clean, options.block_frames), first, all);
  }
  comparison.add("latents", all);
}

}  // namespace annulus::goldens

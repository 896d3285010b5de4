#include "models/wan/causal.h"

#include <algorithm>
#include <cmath>

#include "nn/elementwise.h"
#include "parallel/sequence.h"

namespace annulus::wan {

namespace {

constexpr int kLevels = 1000;

/// Rows of one frame on this rank.
std::int64_t frame_rows_here(const Context& ctx, const VideoGrid& grid) {
  const Sequence frame = {.segments = {{.rows = grid.frame_rows()}}};
  const Communicator& group = ctx.mesh.sequence();
  return rows_of(runs_of(frame, group.size(), group.rank()));
}

}  // namespace

FewSteps few_steps(std::span<const int> steps, double shift) {
  FewSteps made;
  int before = kLevels + 1;
  for (const int step : steps) {
    require(step >= 1 && step < before, ErrorCode::InvalidRequest,
            "steps: wanted levels that fall, from ", kLevels, " to 1, found ", step);
    before = step;
    // In f32, as the reference's table.
    const auto level = static_cast<float>(step) / static_cast<float>(kLevels);
    const auto by = static_cast<float>(shift);
    const float sigma = by * level / (1.0f + (by - 1.0f) * level);
    made.sigmas.push_back(double{sigma});
    made.timesteps.push_back(double{sigma * static_cast<float>(kLevels)});
  }
  require(!made.sigmas.empty(), ErrorCode::InvalidRequest, "steps: wanted at least 1, found none");
  return made;
}

CausalVideo::CausalVideo(const Context& ctx, const Transformer& model, const Prompt& prompt,
                         const VideoGrid& grid, const CausalOptions& options)
    : ctx_(ctx), model_(model), prompt_(prompt), grid_(grid) {
  require(options.block_frames >= 1, ErrorCode::InvalidRequest,
          "block: wanted at least 1 frame, found ", options.block_frames);
  require(options.window.window == 0 ||
              options.window.window - options.window.sink >= options.block_frames,
          ErrorCode::InvalidRequest, "window: wanted room for a block of ", options.block_frames,
          " frames beside the sink's ", options.window.sink, ", found ", options.window.window);
  const TransformerConfig& c = model.config;
  const Shape frame = {prompt.batch, frame_rows_here(ctx, grid), c.num_attention_heads,
                       c.attention_head_dim};
  for (int i = 0; i < c.num_layers; ++i)
    caches_.emplace_back(ctx, frame, ctx.dtype, grid.frame_rows(), options.window, grid.frames);
}

const Placed& CausalVideo::place(std::int64_t first, std::int64_t count) {
  if (first == first_ && count == count_) return placed_;
  const VideoGrid part = {count, grid_.height, grid_.width, grid_.first_frame + first};
  // A segment per frame: ranks share every frame, as the caches hold them.
  const std::vector<std::int64_t> frames(static_cast<std::size_t>(count), 1);
  placed_ = place_video(ctx_, model_, part, frames);
  first_ = first;
  count_ = count;
  return placed_;
}

Tensor CausalVideo::predict(std::int64_t first, std::int64_t count, const Tensor& latents,
                            double timestep, const std::string& where) {
  const Placed& video = place(first, count);
  for (KeyCache& cache : caches_) cache.at(first, count);
  const std::vector<double> timesteps(static_cast<std::size_t>(count), timestep);
  return forward(ctx_, model_, prompt_, video,
                 {.latents = latents, .timesteps = timesteps, .place = where}, caches_);
}

Tensor CausalVideo::denoise(std::int64_t first, std::int64_t count, const Tensor& noise,
                            const FewSteps& steps, const std::function<Tensor(int step)>& renoise,
                            const std::function<void(int step, const Tensor& clean)>& told) {
  Tensor latents = noise, clean;
  for (std::size_t i = 0; i < steps.sigmas.size(); ++i) {
    const std::string where = text_of("frame ", first, ", step ", i + 1);
    const Tensor flow = predict(first, count, latents, steps.timesteps[i], where);
    clean =
        combine(ctx_, {{1.0f, &latents}, {-static_cast<float>(steps.sigmas[i]), &flow}}, ctx_.wide);
    if (told) told(static_cast<int>(i), clean);
    if (i + 1 == steps.sigmas.size()) break;
    const auto sigma = static_cast<float>(steps.sigmas[i + 1]);
    const Tensor fresh = renoise(static_cast<int>(i));
    latents = combine(ctx_, {{1.0f - sigma, &clean}, {sigma, &fresh}}, ctx_.wide);
  }
  predict(first, count, clean, 0, text_of("frame ", first, ", clean"));
  return clean;
}

std::size_t CausalVideo::cache_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const KeyCache& cache : caches_) bytes += cache.bytes();
  return bytes;
}

}  // namespace annulus::wan

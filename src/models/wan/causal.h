// Wan made causal (self-forcing): a video of any length, a block of frames at a time. Each block is
// denoised in a few steps against the frames before it, whose keys and values are kept; one more
// pass then writes the block's own, clean. Start with `CausalVideo`. Source: SGLang Diffusion
// causal_denoising.py, and guandeh17/Self-Forcing.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "models/wan/transformer.h"

namespace annulus::wan {

/// Timesteps and noise levels of a few steps.
struct FewSteps {
  std::vector<double> timesteps;  // 0 ... 1000
  std::vector<double> sigmas;     // 0 ... 1
};

/// `steps` (1000 ... 1, as the model was distilled for) taken through a table of 1000 levels that
/// are shifted: shift * s / (1 + (shift - 1) * s). Throws InvalidRequest for steps out of range or
/// not falling.
FewSteps few_steps(std::span<const int> steps, double shift);

struct CausalOptions {
  std::int64_t block_frames = 3;  // latent frames made together
  CacheWindow window = {.window = 21, .sink = 0};
};

/// A video on its way: caches of every block of the transformer, for one prompt.
class CausalVideo {
 public:
  /// `grid` is the whole video's. Everything given outlives this. Throws InvalidRequest when the
  /// window has no room for a block.
  CausalVideo(const Context& ctx, const Transformer& model, const Prompt& prompt,
              const VideoGrid& grid, const CausalOptions& options);

  /// How the next block, or the last one again, is dealt to ranks.
  const Placed& place(std::int64_t first, std::int64_t count);

  /// The prediction for those frames at one timestep; leaves their keys and values in the caches.
  ///
  ///   latents  [batch, rows here, channels * patch values], packed, by place()
  Tensor predict(std::int64_t first, std::int64_t count, const Tensor& latents, double timestep,
                 const std::string& where = {});

  /// Denoises those frames from `noise` and writes their clean keys and values: [batch, rows here,
  /// channels * patch values], packed.
  ///
  ///   renoise  noise for the level of step i > 0, as `noise` is laid out
  ///   step     told each estimate of the clean latents, by step
  Tensor denoise(std::int64_t first, std::int64_t count, const Tensor& noise, const FewSteps& steps,
                 const std::function<Tensor(int step)>& renoise,
                 const std::function<void(int step, const Tensor& clean)>& told = {});

  std::span<const KeyCache> caches() const noexcept { return caches_; }
  std::size_t cache_bytes() const noexcept;

 private:
  const Context& ctx_;
  const Transformer& model_;
  const Prompt& prompt_;
  VideoGrid grid_;
  std::vector<KeyCache> caches_;
  Placed placed_;
  std::int64_t first_ = -1, count_ = 0;  // of placed_
};

}  // namespace annulus::wan

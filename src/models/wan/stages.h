// The three stages of a run: pictures and prompts to conditioning, noise to latents, latents to
// frames. The pipeline runs them in turn; memory.h walks through them without computing.
#pragma once

#include "models/wan/conditions.h"
#include "pipeline/denoise.h"

namespace annulus::wan {

/// All that a run works with.
struct Run {
  const Components& components;
  const Request& request;  // completed
  Progress progress;
};

struct Encoded {
  std::vector<Tensor> texts;  // [batch, max_sequence_length, text_dim] of the prompts, then with
                              // guidance of the negative ones; zeros after an entry's tokens
  std::vector<std::int64_t> lengths;  // tokens of each prompt, of all texts
  Conditions conditions;
};

/// The whole video, in patches.
VideoGrid video_grid(const Components& components, const Request& request);

/// The scheduler, its timesteps set. Throws InvalidRequest when it cannot take that many steps.
std::unique_ptr<Scheduler> scheduler_for(const Components& components, const Request& request);

/// Reports "encode"; taps "prompt_embeds", "negative_prompt_embeds", "image_embeds".
Encoded encode_stage(const Run& run);

/// Latents [batch, z_dim, frames, height, width]. Reports and taps as pipeline/denoise.h, latents
/// and predictions packed; taps the first "first_model_input" and "first_timestep" too.
Denoised denoise_stage(const Run& run, const Encoded& encoded);

/// Takes frame `frame` of video `index`.
using FrameTaker = std::function<void(int index, std::int64_t frame, Image image)>;

/// Frame `frame` of one entry's decoded pixels [1, frames, height, width, 3] in [-1, 1] as bytes,
/// rounded as diffusers does. Throws NonFinite.
Image image_of(const qwen_image::HostTensor& pixels, std::int64_t frame);

/// One video at a time, a few frames at a time. Reports "decode". Of several ranks the first gets
/// the frames.
void decode_stage(const Run& run, const Tensor& latents, const FrameTaker& take);

/// Whether videos of this size are decoded in tiles: on request, and by itself for pictures so
/// large that their activations would take more than the models. Depends on the size alone.
std::optional<qwen_image::Tiling> tiling_for(const Request& request);

/// Floating-point operations of the stages.
double encode_stage_flop(const Run& run, const Encoded& encoded);
double denoise_stage_flop(const Run& run);
double decode_stage_flop(const Run& run);

}  // namespace annulus::wan

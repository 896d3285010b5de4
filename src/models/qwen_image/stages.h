// The three stages of a run: pictures and prompts to conditioning, noise to latents, latents to
// pictures. The pipeline runs them in turn; memory.h walks through them without computing.
#pragma once

#include "models/qwen_image/conditions.h"
#include "pipeline/denoise.h"

namespace annulus::qwen_image {

/// All that a run works with.
struct Run {
  const Components& components;
  const Variant& variant;
  const Request& request;  // completed
  Progress progress;
};

/// A prompt's (or negative prompt's) conditioning, and what the transformer makes of it once.
struct PromptBranch {
  std::vector<std::int64_t> lengths;  // [batch] rows of text
  Prepared prepared;
};

struct Encoded {
  std::vector<PromptBranch> branches;  // of the prompt, then with guidance of the negative prompt
  Tensor condition_latents;  // [1, rows, in_channels] packed; undefined without condition pictures
};

/// Patches of the picture that is made.
PatchGrid target_grid(const Components& components, const Request& request);

/// The scheduler, its timesteps set. Throws InvalidRequest when it cannot take that many steps.
std::unique_ptr<Scheduler> scheduler_for(const Components& components, const Request& request);

/// Reports "encode"; taps "prompt_embeds", "prompt_mask", the same of "negative_prompt",
/// "image_latents".
Encoded encode_stage(const Run& run);

/// Latents [batch, rows, in_channels], packed. Reports and taps as pipeline/denoise.h.
Denoised denoise_stage(const Run& run, const Encoded& encoded);

/// One picture at a time: memory for one, the same values. Reports "decode", taps "image". Of
/// several ranks the first gets the pictures.
std::vector<Image> decode_stage(const Run& run, const Tensor& latents);

/// Pixels of latents [1, rows, in_channels], packed: what decode_stage does for each picture.
HostTensor decode_latents(const Run& run, const Tensor& latents);

/// Floating-point operations of the stages.
double encode_stage_flop(const Run& run, const Encoded& encoded);
double denoise_stage_flop(const Run& run, const Encoded& encoded);
double decode_stage_flop(const Run& run);

}  // namespace annulus::qwen_image

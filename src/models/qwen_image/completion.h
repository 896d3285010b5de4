#pragma once

#include "models/encoders/qwen2_5_vl/prompt.h"
#include "models/qwen_image/components.h"

namespace annulus::qwen_image {

/// What a request gets where it says nothing. The defaults of the classes in diffusers, with the
/// negative prompt that the model's card recommends: without one there would be no guidance.
struct Defaults {
  std::optional<std::int64_t> width, height;  // pixels; absent: 1024, or as the condition picture
  int steps = 50;
  float true_cfg_scale = 4;
  std::string negative_prompt = " ";
};

/// "defaults" of the folder's annulus.json over those of the class. Throws CorruptFile.
Defaults read_defaults(const Json& json);

/// Width and height, in pixels.
struct PictureSize {
  std::int64_t width = 0, height = 0;
  bool operator==(const PictureSize&) const = default;
};

/// Pixels between two sizes that the model can make, along each side.
std::int64_t size_unit(const Components& components);

/// Fills what is empty and checks the rest of a request of any pipeline of the family: prompts,
/// negative prompts (as many as prompts when guidance is on, else as given), seeds (the first, or
/// 0, plus the index), size, steps, scales, latents, sigmas.
///
///   fallback             the size where neither request nor `defaults` has one
///   max_sequence_length  likewise
///
/// Throws InvalidRequest; for sizes the hint names the nearest two that work.
Request complete_common(const Components& components, const Defaults& defaults,
                        PictureSize fallback, int max_sequence_length, Request request);

/// Throws InvalidRequest naming the first prompt of more tokens than the completed request's
/// max_sequence_length, its pictures not counted. diffusers cuts those.
void check_prompts(const Components& components, qwen2_5_vl::PromptTemplate chat,
                   std::span<const qwen2_5_vl::ImageGrid> images, const Request& request);

}  // namespace annulus::qwen_image

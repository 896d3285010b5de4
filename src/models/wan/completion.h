#pragma once

#include "models/wan/components.h"

namespace annulus::wan {

/// What a request gets where it says nothing: the defaults of the classes in diffusers.
struct Defaults {
  std::int64_t width = 832, height = 480;  // pixels
  std::int64_t frames = 81;
  double fps = 16;
  int steps = 50;
  float guidance_scale = 5;
  std::string negative_prompt = "";
};

/// "defaults" of the folder's annulus.json over those of the class. Throws CorruptFile.
Defaults read_defaults(const Json& json);

/// Latents of a request: frames, height, width.
struct LatentSize {
  std::int64_t frames = 0, height = 0, width = 0;
};
LatentSize latent_size(const Components& components, const Request& request);

/// Fills what is empty and checks the rest. Throws InvalidRequest; for sizes and numbers of frames
/// the hint names the nearest two that work.
Request complete(const Components& components, const Defaults& defaults, Request request);

}  // namespace annulus::wan

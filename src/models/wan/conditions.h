#pragma once

#include "models/wan/completion.h"

namespace annulus::wan {

/// Pictures of a request as the models take them, the same for every entry of a batch.
struct Conditions {
  Tensor image_embeds;  // [1, rows, image_dim] of CLIP; undefined where the model has none
  // Normalised latents of the picture. Beside the video's: [1, 4 + z_dim, frames, height, width],
  // flags of the frames that are given first. In place of the first frame's: [1, z_dim, 1, height,
  // width]. Undefined without a picture.
  Tensor latents;
};

/// Resizes and encodes the request's pictures. Throws NonFinite, Cancelled.
Conditions encode_conditions(const Components& components, const Request& request,
                             const std::optional<qwen_image::Tiling>& tiling,
                             const Progress& progress);

}  // namespace annulus::wan

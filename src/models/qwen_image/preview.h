#pragma once

#include "io/image.h"
#include "models/qwen_image/rope.h"
#include "models/vaes/qwen_image/vae.h"

namespace annulus::qwen_image {

/// A cheap rendition of latents [1, rows, channels] (packed, clean): averaged down to at most 16
/// latents a side, then decoded, which costs little and needs no fit to a particular autoencoder.
Image preview_of(const Context& ctx, const Vae& vae, const Tensor& latents, const PatchGrid& grid);

}  // namespace annulus::qwen_image

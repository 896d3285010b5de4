#pragma once

#include "nn/context.h"

namespace annulus::qwen_image {

/// Latents as the autoencoder has them [batch, 1, height, width, channels] to patches of 2 x 2 as
/// the transformer takes them [batch, height / 2 * width / 2, channels * 4], a patch's values by
/// channel, row, column. Throws InvalidRequest for odd sizes. Source: diffusers
/// QwenImagePipeline._pack_latents.
Tensor packed(const Context& ctx, const Tensor& latents);

/// The inverse, for latents of `height` x `width`.
Tensor unpacked(const Context& ctx, const Tensor& patches, std::int64_t height, std::int64_t width);

}  // namespace annulus::qwen_image

#pragma once

#include <array>

#include "nn/context.h"

namespace annulus::wan {

/// Latents along frames, height and width that make a patch, and their number.
using PatchSize = std::array<std::int64_t, 3>;

/// Latents as the pipelines of diffusers have them [batch, channels, frames, height, width] to rows
/// as the transformer takes them [batch, patches, channels * patch values], a patch's values by
/// channel, frame, row, column. Throws InvalidRequest when patches do not fit.
Tensor packed(const Context& ctx, const Tensor& latents, const PatchSize& patch);

/// The inverse, for latents of `frames` x `height` x `width`.
Tensor unpacked(const Context& ctx, const Tensor& rows, const PatchSize& patch,
                const std::array<std::int64_t, 3>& size);

/// Rows whose values come by frame, row, column, channel to those of packed(): what the
/// transformer's last layer gives.
Tensor channels_first(const Context& ctx, const Tensor& rows, std::int64_t channels);

}  // namespace annulus::wan

#pragma once

#include "io/image.h"
#include "models/wan/components.h"

namespace annulus::wan {

/// A cheap contact sheet of clean latents [1, z_dim, frames, height, width]: a few frames side by
/// side, each averaged down to at most 16 latents a side and decoded as a picture of its own.
Image contact_sheet(const Components& components, const Tensor& latents);

}  // namespace annulus::wan

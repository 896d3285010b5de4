// Pictures that several ranks decode together: their parts on the way to the first rank.
#pragma once

#include "comm/communicator.h"
#include "models/vaes/qwen_image/tiling.h"

namespace annulus::qwen_image {

enum class Where : bool { First, Everywhere };

/// The parts of all ranks [batch, frames, rows, width, channels], one below the other, on rank 0 or
/// on every rank; nothing elsewhere. A part without values has no rows. Collective.
HostTensor stacked(Communicator& ranks, const HostTensor& part, Where where);

/// in_tiles with the tiles dealt to the ranks in turn: the same tiles and the same blending. The
/// result is on rank 0. Collective. Every rank calls `turn` before each round of tiles.
HostTensor in_divided_tiles(
    Communicator& ranks, const TilePlan& plan, std::int64_t height, std::int64_t width,
    const std::function<void(int done)>& turn,
    const std::function<HostTensor(std::int64_t top, std::int64_t left, std::int64_t height,
                                   std::int64_t width)>& make);

}  // namespace annulus::qwen_image

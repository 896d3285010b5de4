#pragma once

#include "attention/backend.h"

namespace annulus {

/// Attention as its definition says, row by row in double precision on host tensors: the oracle of
/// everything. Serves every spec.
const AttentionBackend& reference_attention() noexcept;

}  // namespace annulus

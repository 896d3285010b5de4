#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace annulus {

/// Prompts as a transformer takes them. Rows at or past an entry's length are zero.
struct Conditioning {
  Tensor embeds;                      // [batch, txt_seq, hidden], the context's wide dtype
  std::vector<std::int64_t> lengths;  // [batch], at most txt_seq each; the longest is txt_seq
};

}  // namespace annulus

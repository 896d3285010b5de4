// What happens to a unit's rows when their keys are done: merging splits, dividing, storing.
#pragma once

#include "attention/cpu/plan.h"

namespace annulus::flash {

/// Unfinished rows: out [rows, stride], not divided; most, sum [rows]; scores in units of
/// Call::unit.
struct Partial {
  float* out = nullptr;
  std::int64_t stride = 0;
  float* most = nullptr;
  float* sum = nullptr;
};

/// Folds `part` into `total` (both over the same rows). A part without a key changes nothing.
void merge_rows(const Call& call, std::int64_t rows, const Partial& total,
                const Partial& part) noexcept;

/// Stores rows first_row... of a kv head: divided, with LSE; or folded into a RunningAttention.
void store_rows(const Call& call, const Entry& entry, std::int64_t kv_head, std::int64_t first_row,
                std::int64_t rows, const Partial& from) noexcept;

}  // namespace annulus::flash

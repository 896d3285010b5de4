#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "attention/spec.h"
#include "parallel/sequence.h"

namespace annulus {

/// Which keys a query sees by its position.
struct Positions {
  Causal causal = Causal::No;
  std::array<std::int64_t, 2> window = {-1, -1};  // as in AttentionArgs
  bool any() const noexcept { return causal != Causal::No || window[0] >= 0 || window[1] >= 0; }
};

/// One call of a backend: queries [q_at, q_at + q_rows) of a tensor over keys [k_at, k_at + k_rows)
/// of another. Values are per entry: of the batch, or a packed sequence.
struct FoldCall {
  std::int64_t q_at = 0, q_rows = 0, k_at = 0, k_rows = 0;
  std::int64_t column = 0;  // of a mask over all keys: the first key's position
  Positions positions;
  std::vector<std::int32_t> diagonals;   // empty where positions say nothing
  std::vector<std::int32_t> kv_lengths;  // empty: all are real
  std::vector<std::int32_t> cu_q, cu_k;  // packed only
};

struct Side {
  const Sequence& sequence;
  const std::vector<RowRun>& runs;  // of the tensor at hand
};

/// The calls that fold the keys of `kv` into queries `q`: as few as the order in memory, padding
/// inside and masks allow; none for keys that nobody sees, so that no backend gets an empty block.
///
///   entries  batch, or packed sequences
///   masked   there is a mask, whose columns are positions: a call's keys must be neighbours there
std::vector<FoldCall> plan_folds(const Side& q, const Side& kv, const Positions& positions,
                                 bool masked, std::int64_t entries);

}  // namespace annulus

#pragma once

#include <vector>

#include "attention/spec.h"

namespace annulus {

/// One attention problem of its own: an entry of the batch, or a packed sequence.
struct AttentionEntry {
  std::int64_t batch;                     // along the batch axis; 0 when packed
  std::int64_t first_q, first_k;          // first token along the sequence axis; 0 when not packed
  std::int64_t seq_q, keys;               // keys: those within kv_lengths
  std::int64_t diagonal = 0, causal = 0;  // the key that query 0 faces, for windows and for causal
};

/// The problems of a call; waits for the stream where lengths lie on a device.
std::vector<AttentionEntry> entries_of(Stream& stream, const AttentionArgs& args);

/// Does a call hide keys other than by their number?
bool needs_added_mask(const AttentionArgs& args) noexcept;

/// Causal, window, boolean and additive masks of `rows` queries from `first` on, as one mask that
/// is added to their scores: [1 | heads, rows, keys] f32 on the stream's device, -inf where a key
/// is not seen.
Tensor added_mask(Stream& stream, const AttentionArgs& args, const AttentionEntry& entry,
                  std::int64_t first, std::int64_t rows);

}  // namespace annulus

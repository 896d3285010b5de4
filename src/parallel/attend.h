// Attention over the whole sequence while each rank holds one shard of it: what models call.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "attention/selection.h"
#include "parallel/lane.h"

namespace annulus {

/// q, k and v are this rank's rows of the joint sequence, any order (positions are already in q and
/// k). Rows that are padding come last within the rank, so that key lengths describe them.
struct AttendArgs {
  const Tensor& q;  // [batch, seq_q, heads, head_dim]
  const Tensor& k;  // [batch, seq_kv, kv_heads, head_dim]
  const Tensor& v;  // [batch, seq_kv, kv_heads, head_dim]
  float scale = 0;  // multiplies q.k; 0: 1 / sqrt(head_dim)
  Causal causal = Causal::No;
  std::array<std::int64_t, 2> window = {-1, -1};  // as in AttentionArgs
  const Tensor* kv_lengths = nullptr;             // [batch] i32: rows of k and v that are real
  const Tensor* mask =
      nullptr;  // [batch | 1, heads | 1, seq_q | 1, seq_kv]; bool: true = seen; else added
};

/// Returns [batch, seq_q, heads, head_dim] in q's dtype, contiguous.
Tensor attend(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args);

/// Packed sequences: q [tokens_q, heads, head_dim], k, v [tokens_kv, kv_heads, head_dim],
/// cu_seqlens [sequences + 1] i32 each.
Tensor attend_packed(const Lane& lane, const AttentionChoice& choice, const Tensor& q,
                     const Tensor& k, const Tensor& v, const Tensor& cu_seqlens_q,
                     const Tensor& cu_seqlens_k);

}  // namespace annulus

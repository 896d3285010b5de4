// Attention over the whole sequence while each rank holds one shard of it: what models call.
// How a sequence is dealt to ranks is in sequence.h; the ring is in ring.h, the exchange of heads
// in ulysses.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "attention/selection.h"
#include "parallel/lane.h"
#include "parallel/sequence.h"

namespace annulus {

/// One call. Without `sequence`, q, k and v are whole (on every rank that calls), in any order of
/// rows, padding last, so that key lengths describe it.
///
/// With `sequence`, they are this rank's rows of it, in the order that runs_of() says; all ranks of
/// the mesh's sequence group call together. Order in memory is free of positions only where nothing
/// is causal: rotary positions are already in q and k.
struct AttendArgs {
  const Tensor& q;  // [batch, seq_q, heads, head_dim]
  const Tensor& k;  // [batch, seq_kv, kv_heads, head_dim]
  const Tensor& v;  // [batch, seq_kv, kv_heads, head_dim]
  float scale = 0;  // multiplies q.k; 0: 1 / sqrt(head_dim)
  Causal causal = Causal::No;
  std::array<std::int64_t, 2> window = {-1, -1};  // as in AttentionArgs
  const Tensor* kv_lengths = nullptr;  // [batch] i32: rows of k and v that are real; null with
                                       // `sequence`, whose segments have lengths
  /// [batch | 1, heads | 1, seq_q | 1, seq_kv]; bool: true = seen; else added. With `sequence`:
  /// rows are this rank's queries, columns all keys by their position.
  const Tensor* mask = nullptr;

  const Sequence* sequence = nullptr;  // of k and v
  const Sequence* queries = nullptr;   // of q; null: the same
  /// With `sequence`: has the mask a row for each query (even where a rank holds but one), or one
  /// row for all?
  bool mask_per_query = true;

  /// Above 0: calls of exactly so many queries (the last padded) over all keys, which every rank
  /// gathers, in the order of their positions: a query's bits do not depend on the number of ranks.
  /// Memory for K and V is that of one rank. No masks, no packed sequences, one Ulysses rank; in a
  /// `sequence` only the last segment may have padding.
  std::int64_t query_block = 0;
};

/// Returns [batch, seq_q, heads, head_dim] in q's dtype, contiguous. With a packed `sequence`, q, k
/// and v are [tokens, heads, head_dim] and so is the result. Throws PeerFailure when a rank fails,
/// InvalidRequest when heads do not divide by the mesh's Ulysses degree.
Tensor attend(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args);

/// Packed sequences on one rank: q [tokens_q, heads, head_dim], k, v [tokens_kv, kv_heads,
/// head_dim], cu_seqlens [sequences + 1] i32 each.
Tensor attend_packed(const Lane& lane, const AttentionChoice& choice, const Tensor& q,
                     const Tensor& k, const Tensor& v, const Tensor& cu_seqlens_q,
                     const Tensor& cu_seqlens_k);

}  // namespace annulus

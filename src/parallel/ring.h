#pragma once

#include <optional>

#include "attention/selection.h"
#include "parallel/fold_plan.h"
#include "parallel/lane.h"

namespace annulus {

/// Attention of a ring: what this rank holds after the exchange of heads.
struct RingArgs {
  const Tensor& q;  // [batch, seq_q, heads, head_dim]; packed: batch 1
  const Tensor& k;  // [batch, seq_kv, kv_heads, head_dim]
  const Tensor& v;
  float scale = 0;
  Positions positions;
  const Tensor* mask = nullptr;  // [batch | 1, heads | 1, seq_q or 1, all keys]
  bool mask_per_query = true;    // seq_q rows
  const Sequence& queries;
  const Sequence& keys;
};

/// Attention of this rank's queries over every rank's keys: one hop per rank, own shard first;
/// replicated keys count once, as part of the own shard. The next shard travels, or is read in
/// place, while the present one is used. Written to `out` (q's shape). Source: Liu et al., Ring
/// Attention (arXiv 2310.01889).
void ring_pass_keys(const Lane& lane, const AttentionBackend& backend, const RingArgs& args,
                    Tensor& out);

/// The same result where queries are few and keys many: queries go round the ring, every rank
/// attends with its own keys, and the parts return to the queries' owner, who merges them in a
/// fixed order. No queries may be replicated, no mask may differ by query.
void ring_pass_queries(const Lane& lane, const AttentionBackend& backend, const RingArgs& args,
                       Tensor& out);

/// Does passing queries (and their unfinished results back) move fewer bytes than passing K and V?
/// Of the whole sequences, so that all ranks decide alike.
///
///   unit  bytes of an element
bool queries_move_less(const Sequence& queries, const Sequence& keys, std::int64_t heads,
                       std::int64_t kv_heads, std::int64_t head_dim, std::size_t unit);

/// The same for a call, where a mask may forbid it.
bool moves_less_by_queries(const ParallelPlan& plan, const RingArgs& args);

}  // namespace annulus

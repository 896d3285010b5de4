// libopapi.so: the first version of the fused attention.

#include <type_traits>

#include "fia.h"

using namespace fake_cann;
using annulus::cann::aclOpExecutor;
using annulus::cann::Bytes;
using annulus::cann::In;
using annulus::cann::Ints;
using annulus::cann::List;

extern "C" {

int aclnnFusedInferAttentionScoreGetWorkspaceSize(
    In query, List key, List value, In pse_shift, In mask, Ints lengths, Ints lengths_kv, In deq1,
    In quant1, In deq2, In quant2, In offset2, In anti_scale, In anti_offset, In block_table,
    In query_padding, In kv_padding, std::int64_t heads, double scale, std::int64_t before,
    std::int64_t after, char* layout, std::int64_t kv_heads, std::int64_t sparse_mode,
    std::int64_t inner_precise, std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag,
    In out, In lse, Bytes bytes, aclOpExecutor** executor) {
  return plan_fia({1,
                   "aclnnFusedInferAttentionScore",
                   query,
                   key,
                   value,
                   mask,
                   lengths,
                   lengths_kv,
                   heads,
                   scale,
                   before,
                   after,
                   layout,
                   kv_heads,
                   sparse_mode,
                   inner_precise,
                   block_size,
                   lse_flag,
                   out,
                   lse,
                   {pse_shift, deq1, quant1, deq2, quant2, offset2, anti_scale, anti_offset,
                    block_table, query_padding, kv_padding},
                   {antiquant_mode}},
                  bytes, executor);
}
static_assert(std::is_same_v<decltype(aclnnFusedInferAttentionScoreGetWorkspaceSize),
                             annulus::cann::aclnnFusedInferAttentionScore>);
int aclnnFusedInferAttentionScore(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnFusedInferAttentionScore", w, n, e, s);
}
}

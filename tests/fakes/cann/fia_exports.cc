// libopapi.so: the versions of the fused attention that old releases lack.

#include <type_traits>

#include "fia.h"

using namespace fake_cann;
using annulus::cann::aclOpExecutor;
using annulus::cann::Bytes;
using annulus::cann::In;
using annulus::cann::Ints;
using annulus::cann::List;

extern "C" {

int aclnnFusedInferAttentionScoreV2GetWorkspaceSize(
    In query, List key, List value, In pse_shift, In mask, Ints lengths, Ints lengths_kv, In deq1,
    In quant1, In deq2, In quant2, In offset2, In anti_scale, In anti_offset, In block_table,
    In query_padding, In kv_padding, In key_scale, In key_offset, In value_scale, In value_offset,
    In key_prefix, In value_prefix, Ints prefix_length, std::int64_t heads, double scale,
    std::int64_t before, std::int64_t after, char* layout, std::int64_t kv_heads,
    std::int64_t sparse_mode, std::int64_t inner_precise, std::int64_t block_size,
    std::int64_t antiquant_mode, bool lse_flag, std::int64_t key_mode, std::int64_t value_mode,
    In out, In lse, Bytes bytes, aclOpExecutor** executor) {
  return plan_fia({2,
                   "aclnnFusedInferAttentionScoreV2",
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
                    block_table, query_padding, kv_padding, key_scale, key_offset, value_scale,
                    value_offset, key_prefix, value_prefix, prefix_length},
                   {antiquant_mode, key_mode, value_mode}},
                  bytes, executor);
}
static_assert(std::is_same_v<decltype(aclnnFusedInferAttentionScoreV2GetWorkspaceSize),
                             annulus::cann::aclnnFusedInferAttentionScoreV2>);
int aclnnFusedInferAttentionScoreV2(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnFusedInferAttentionScoreV2", w, n, e, s);
}

int aclnnFusedInferAttentionScoreV3GetWorkspaceSize(
    In query, List key, List value, In pse_shift, In mask, Ints lengths, Ints lengths_kv, In deq1,
    In quant1, In deq2, In quant2, In offset2, In anti_scale, In anti_offset, In block_table,
    In query_padding, In kv_padding, In key_scale, In key_offset, In value_scale, In value_offset,
    In key_prefix, In value_prefix, Ints prefix_length, In query_rope, In key_rope, In rope_scale,
    std::int64_t heads, double scale, std::int64_t before, std::int64_t after, char* layout,
    std::int64_t kv_heads, std::int64_t sparse_mode, std::int64_t inner_precise,
    std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag, std::int64_t key_mode,
    std::int64_t value_mode, In out, In lse, Bytes bytes, aclOpExecutor** executor) {
  return plan_fia(
      {3,
       "aclnnFusedInferAttentionScoreV3",
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
       {pse_shift,  deq1,        quant1,       deq2,          quant2,       offset2,
        anti_scale, anti_offset, block_table,  query_padding, kv_padding,   key_scale,
        key_offset, value_scale, value_offset, key_prefix,    value_prefix, prefix_length,
        query_rope, key_rope,    rope_scale},
       {antiquant_mode, key_mode, value_mode}},
      bytes, executor);
}
static_assert(std::is_same_v<decltype(aclnnFusedInferAttentionScoreV3GetWorkspaceSize),
                             annulus::cann::aclnnFusedInferAttentionScoreV3>);
int aclnnFusedInferAttentionScoreV3(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnFusedInferAttentionScoreV3", w, n, e, s);
}

int aclnnFusedInferAttentionScoreV4GetWorkspaceSize(
    In query, List key, List value, In pse_shift, In mask, Ints lengths, Ints lengths_kv, In deq1,
    In quant1, In deq2, In quant2, In offset2, In anti_scale, In anti_offset, In block_table,
    In query_padding, In kv_padding, In key_scale, In key_offset, In value_scale, In value_offset,
    In key_prefix, In value_prefix, Ints prefix_length, In query_rope, In key_rope, In rope_scale,
    In query_scale, In sink, std::int64_t heads, double scale, std::int64_t before,
    std::int64_t after, char* layout, std::int64_t kv_heads, std::int64_t sparse_mode,
    std::int64_t inner_precise, std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag,
    std::int64_t key_mode, std::int64_t value_mode, std::int64_t query_mode, In out, In lse,
    Bytes bytes, aclOpExecutor** executor) {
  return plan_fia(
      {4,
       "aclnnFusedInferAttentionScoreV4",
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
       {pse_shift,  deq1,        quant1,       deq2,          quant2,       offset2,
        anti_scale, anti_offset, block_table,  query_padding, kv_padding,   key_scale,
        key_offset, value_scale, value_offset, key_prefix,    value_prefix, prefix_length,
        query_rope, key_rope,    rope_scale,   query_scale,   sink},
       {antiquant_mode, key_mode, value_mode, query_mode}},
      bytes, executor);
}
static_assert(std::is_same_v<decltype(aclnnFusedInferAttentionScoreV4GetWorkspaceSize),
                             annulus::cann::aclnnFusedInferAttentionScoreV4>);
int aclnnFusedInferAttentionScoreV4(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnFusedInferAttentionScoreV4", w, n, e, s);
}

int aclnnFusedInferAttentionScoreV5GetWorkspaceSize(
    In query, List key, List value, In pse_shift, In mask, Ints lengths, Ints lengths_kv, In deq1,
    In quant1, In deq2, In quant2, In offset2, In anti_scale, In anti_offset, In block_table,
    In query_padding, In kv_padding, In key_scale, In key_offset, In value_scale, In value_offset,
    In key_prefix, In value_prefix, Ints prefix_length, In query_rope, In key_rope, In rope_scale,
    In query_scale, In sink, Ints q_start, Ints kv_start, std::int64_t heads, double scale,
    std::int64_t before, std::int64_t after, char* layout, std::int64_t kv_heads,
    std::int64_t sparse_mode, std::int64_t inner_precise, std::int64_t block_size,
    std::int64_t antiquant_mode, bool lse_flag, std::int64_t key_mode, std::int64_t value_mode,
    std::int64_t query_mode, std::int64_t pse_type, In out, In lse, Bytes bytes,
    aclOpExecutor** executor) {
  return plan_fia({5,
                   "aclnnFusedInferAttentionScoreV5",
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
                   {pse_shift,  deq1,         quant1,        deq2,        quant2,
                    offset2,    anti_scale,   anti_offset,   block_table, query_padding,
                    kv_padding, key_scale,    key_offset,    value_scale, value_offset,
                    key_prefix, value_prefix, prefix_length, query_rope,  key_rope,
                    rope_scale, query_scale,  sink,          q_start,     kv_start},
                   {antiquant_mode, key_mode, value_mode, query_mode, pse_type}},
                  bytes, executor);
}
static_assert(std::is_same_v<decltype(aclnnFusedInferAttentionScoreV5GetWorkspaceSize),
                             annulus::cann::aclnnFusedInferAttentionScoreV5>);
int aclnnFusedInferAttentionScoreV5(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnFusedInferAttentionScoreV5", w, n, e, s);
}
}

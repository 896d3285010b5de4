// aclnnFusedInferAttentionScore: the arguments that its versions share, the documented checks, and
// the attention itself as plain loops in double.
#pragma once

#include <initializer_list>

#include "objects.h"

namespace fake_cann {

struct FiaCall {
  int version;
  const char* name;  // "aclnnFusedInferAttentionScoreV2"
  abi::In query;
  abi::List key, value;
  abi::In mask;
  abi::Ints lengths, lengths_kv;
  std::int64_t heads;
  double scale;
  std::int64_t before, after;  // preTokens, nextTokens
  const char* layout;
  std::int64_t kv_heads, sparse_mode, inner_precise, block_size;
  bool lse_flag;
  abi::In out, lse;
  std::initializer_list<const void*> quantised;      // arguments that must be null here
  std::initializer_list<std::int64_t> quantisation;  // numbers that must be 0
};

int plan_fia(const FiaCall& call, std::uint64_t* workspace, abi::aclOpExecutor** executor);

}  // namespace fake_cann

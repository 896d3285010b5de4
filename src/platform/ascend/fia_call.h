#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/ascend/aclnn.h"

namespace annulus::ascend {

constexpr std::int64_t kAllTokens = 2147483647;  // preTokens, nextTokens: no limit

/// The version of aclnnFusedInferAttentionScore to call, or why there is none. V1 to V4 run on A2
/// and A3 alone and do the same without quantisation: the first that is exported, V2 before the
/// others; V5 on 950 alone.
struct FiaVersion {
  int number = 0;       // 1 to 5; 0: none
  std::string refusal;  // when there is none
};
FiaVersion fia_version(const Cann& cann);

/// One call in layout BNSD. All tensors contiguous, of one dtype, bf16 or f16, but for the mask and
/// softmax_lse.
struct FiaArgs {
  const Tensor& query;  // [batch, heads, seq_q, head_dim]
  const Tensor& key;    // [batch, kv_heads, seq_kv, head_dim]
  const Tensor& value;  // [batch, kv_heads, seq_kv, head_dim]
  const Tensor* mask;   // bool, true = hidden: [batch, 1, seq_q, seq_kv], or [2048, 2048] for modes
                        // 2 to 4; or null
  std::vector<std::int64_t> kv_lengths;  // [batch], or empty
  double scale;
  std::int64_t sparse_mode;
  std::int64_t pre_tokens, next_tokens;
  std::int64_t inner_precise;
  const Tensor& attention_out;  // [batch, heads, seq_q, head_dim], written
  const Tensor& softmax_lse;    // [batch, heads, seq_q, 1] f32, written
};

void call_fia(const Aclnn& aclnn, int version, const FiaArgs& args);

}  // namespace annulus::ascend

#pragma once

#include <functional>
#include <vector>

#include "attention/selection.h"
#include "models/encoders/qwen2_5_vl/config.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace annulus::qwen2_5_vl {

/// Fields are named after the checkpoint.
struct DecoderLayer {
  RmsNorm input_layernorm;
  Linear q_proj;          // hidden -> heads * head_dim
  Linear k_proj, v_proj;  // hidden -> kv_heads * head_dim
  Linear o_proj;          // no bias
  RmsNorm post_attention_layernorm;
  Linear gate_proj, up_proj, down_proj;  // hidden -> inner, SwiGLU, inner -> hidden; no bias
  AttentionChoice attention;             // negotiated at load
};

struct LanguageModel {
  Tensor embed_tokens;  // [vocabulary, hidden]
  std::vector<DecoderLayer> layers;
  RmsNorm norm;
};

}  // namespace annulus::qwen2_5_vl

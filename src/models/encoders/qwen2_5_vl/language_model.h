#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "attention/selection.h"
#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/positions.h"
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
  std::int64_t sliding_window = 0;       // keys seen by a query, itself included; 0: all before it
  AttentionChoice attention;             // negotiated at load
};

struct LanguageModel {
  Tensor embed_tokens;  // [vocabulary, hidden]
  std::vector<DecoderLayer> layers;
  RmsNorm norm;
};

/// Receives intermediate tensors by name ("hidden_states.0", "vision.block0"), as Progress::tap.
using Tap = std::function<void(std::string_view name, const Tensor& value)>;

/// `w` is the scope that holds `embed_tokens`, `layers` and `norm`. Throws CorruptFile;
/// Unsupported from the choice of attention.
LanguageModel load_language_model(const WeightScope& w, const TextConfig& config,
                                  const AttentionSelection& selection, DType dtype);

/// The last hidden state, after the final norm, [batch, seq, hidden], wide dtype.
///
///   x          [batch, seq, hidden]  embeddings, wide dtype; updated (holds the residual stream)
///   lengths    [batch]               real tokens of each row; the rest of a row is padding
///   positions  of x's batch and seq
///   tap        "hidden_states.N": x before layer N; the last is the result
///
/// Rows of padding are not zero: they are those of queries that see all real tokens, as in the
/// reference, or, where layers have a window, of no meaning.
/// Source: transformers Qwen2_5_VLTextModel.
Tensor forward(const Context& ctx, const TextConfig& config, const LanguageModel& model, Tensor& x,
               std::span<const std::int64_t> lengths, const Positions& positions,
               const Tap& tap = {});

/// Floating-point operations of forward over prompts of those lengths.
double language_flop(const TextConfig& config, std::span<const std::int64_t> lengths);

}  // namespace annulus::qwen2_5_vl

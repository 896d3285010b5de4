// UMT5's encoder (Wan's text encoder): T5 with position biases of each layer's own. No decoder.
// Start with prompt.h for what pipelines call. Source: transformers UMT5EncoderModel.
#pragma once

#include <span>
#include <vector>

#include "attention/selection.h"
#include "models/encoders/umt5/config.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "pipeline/progress.h"

namespace annulus::umt5 {

/// Fields are named after the checkpoint's ends.
struct Block {
  RmsNorm attention_layer_norm;    // layer.0.layer_norm
  Linear q, k, v;                  // d_model -> heads * d_kv
  Linear o;                        // heads * d_kv -> d_model
  Tensor relative_attention_bias;  // [buckets, heads]
  RmsNorm ff_layer_norm;           // layer.1.layer_norm
  Linear wi_0, wi_1, wo;           // d_model -> d_ff, gelu(wi_0) * wi_1 -> d_model
  AttentionChoice attention;       // negotiated at load
};

struct Encoder {
  Config config;
  Tensor shared;  // [vocab_size, d_model]
  std::vector<Block> blocks;
  RmsNorm final_layer_norm;
};

/// Reads a text_encoder folder's weights.
///
///   w          the component's root
///   selection  of this component (selection.for_component("text_encoder"))
///   dtype      of the contexts it will run with
///
/// Throws CorruptFile naming tensor or key and file, also for a tensor that nothing here reads;
/// Unsupported from read_config or the choice of attention.
Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype);

/// For a key `distance` tokens after the query: the row of relative_attention_bias. Source:
/// UMT5Attention._relative_position_bucket, bidirectional.
std::int32_t bucket_of(const Config& config, std::int64_t distance) noexcept;

/// The last hidden state [batch, seq, d_model], wide. Padding is not attended to; its own rows are
/// computed all the same.
///
///   ids      [batch, seq], row-major
///   lengths  [batch] real tokens, at the front
///   tap      "block0", "block1", ...
///
/// Throws InvalidRequest when ids and lengths contradict, NonFinite.
Tensor encode_tokens(const Context& ctx, const Encoder& encoder, std::span<const std::int32_t> ids,
                     std::span<const std::int64_t> lengths, const Tap& tap = {});

/// Floating-point operations of encode_tokens: padding not counted.
double encode_flop(const Config& config, std::span<const std::int64_t> lengths);

}  // namespace annulus::umt5

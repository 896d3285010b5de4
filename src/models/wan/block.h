#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/wan/transformer_config.h"
#include "nn/elementwise.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "parallel/attend.h"

namespace annulus::wan {

class KeyCache;

/// Fields are named after the checkpoint.
struct Attention {
  Linear to_q, to_k, to_v, to_out;  // hidden -> hidden
  RmsNorm norm_q, norm_k;           // over all heads together
  struct Added {                    // keys and values of pictures, beside those of the text
    Linear add_k_proj, add_v_proj;
    RmsNorm norm_added_k;
  };
  std::optional<Added> added;
  AttentionChoice attention;  // negotiated at load
};

struct Block {
  Attention attn1;                 // among the video's rows
  std::optional<LayerNorm> norm2;  // with cross_attn_norm
  Attention attn2;                 // from the video's rows to the prompt's
  Linear ffn_in, ffn_out;          // hidden -> ffn_dim, GELU(tanh), -> hidden
  Tensor scale_shift_table;        // [1, 6, hidden]
};

/// Reads `blocks.<i>`.
///
///   shared  for attention among rows that ranks divide
///   whole   for attention to the prompt, which every rank has
///
/// Throws CorruptFile naming the first missing tensor, Unsupported from the choice of attention.
Block load_block(const WeightScope& w, const TransformerConfig& config,
                 const AttentionSelection& shared, const AttentionSelection& whole, DType dtype);

/// Keys and values of a prompt in one block: the same at every step.
struct PromptKeys {
  Tensor k, v;              // [batch, txt_seq, heads, head_dim]
  Tensor image_k, image_v;  // [batch, rows, heads, head_dim]; undefined without a picture
};

/// text [batch, txt_seq, hidden] and image [batch, rows, hidden] (undefined: none), embedded.
PromptKeys prompt_keys(const Context& ctx, const TransformerConfig& config, const Block& block,
                       const Tensor& text, const Tensor& image);

/// Rows [begin, end) of this rank that have their timestep in common, and its place among the
/// timesteps of the pass.
struct TimedRows {
  std::int64_t begin, end, timestep;
};

/// What all blocks of one forward pass share.
struct Pass {
  const std::vector<TimedRows>& rows;
  const Tensor& timestep_proj;  // [timesteps * batch, 6, hidden], wide
  const Tensor& freqs;          // [1, rows, head_dim / 2, 2]
  const Sequence* sequence;     // of the rows over all ranks; null on one rank
};

/// One block. x [batch, rows, hidden], wide, this rank's rows; updated.
///
///   cache  of this block: keys and values of these rows are put there, and all that it shows is
///          attended to; null: the rows attend to each other
///
/// Source: diffusers WanTransformerBlock.
void forward(const Context& ctx, const TransformerConfig& config, const Block& block,
             const Pass& pass, const PromptKeys& prompt, KeyCache* cache, Tensor& x);

}  // namespace annulus::wan

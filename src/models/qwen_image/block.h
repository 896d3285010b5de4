#pragma once

#include <cstdint>

#include "models/qwen_image/transformer_config.h"
#include "nn/elementwise.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "parallel/attend.h"

namespace annulus::qwen_image {

/// One of the two branches (image or text) of a block; attention fields use the image names.
struct Branch {
  Linear mod;               // hidden -> 6 * hidden: shift, scale, gate for attention, then the MLP
  Linear to_q, to_k, to_v;  // hidden -> heads * head_dim
  RmsNorm norm_q, norm_k;   // over head_dim
  Linear to_out;
  Linear mlp_in, mlp_out;  // hidden -> 4 * hidden -> hidden, GELU(tanh) between
};

struct Block {
  Branch img, txt;
  AttentionChoice attention;  // negotiated at load
};

/// Reads `transformer_blocks.<i>`. Throws CorruptFile naming the first missing tensor, Unsupported
/// from the choice of attention for `dtype`.
Block load_block(const WeightScope& w, const TransformerConfig& config,
                 const AttentionSelection& selection, DType dtype);

/// The two residual streams, in the wide dtype.
struct Streams {
  Tensor img;  // [batch, img_seq, hidden]; target rows first, then condition pictures
  Tensor txt;  // [batch, txt_seq, hidden]
};

/// What all blocks of one forward pass share.
struct Pass {
  Tensor silu_temb;     // [batch, hidden]; with zero_cond_t [2 * batch, hidden], timestep 0 last
  const Tensor& freqs;  // [1, img_seq + txt_seq, head_dim / 2, 2], image rows first
  const Tensor* kv_lengths;  // [batch] i32: img_seq + an entry's real text rows; null: all are real
  std::int64_t target_seq;   // with zero_cond_t: image rows from here on are modulated as at 0
  // Where ranks share the sequence: the whole of it, and of the target rows alone; null on one
  // rank.
  const Sequence* sequence = nullptr;
  const Sequence* targets = nullptr;
};

/// Rows whose new values are wanted: the first `img` and all or none of the text.
struct Wanted {
  std::int64_t img;
  bool txt;
};

/// One double-stream block: text and image attend to each other, each has its own weights.
/// `streams` is updated; rows that are not wanted are left out of it.
///
/// Under sequence parallelism the streams are this rank's rows of each segment, and `kv_lengths` is
/// null: the sequence has the text's lengths. Order in memory is image then text (attention does
/// not depend on key order, and positions are already in q and k), so that the text's padding is a
/// tail which `kv_lengths` describes. Source: diffusers transformer_qwenimage.py,
/// QwenImageTransformerBlock.
void forward(const Context& ctx, const TransformerConfig& config, const Block& block,
             const Pass& pass, const Wanted& wanted, Streams& streams);

}  // namespace annulus::qwen_image

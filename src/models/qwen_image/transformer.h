// Qwen-Image's diffusion transformer: packed latents, text and a timestep to a prediction. Blocks
// are in block.h, positions in rope.h, packing of latents in latents.h. Start with `prepare` (once
// per prompt) and `forward` (once per step). Source: diffusers QwenImageTransformer2DModel.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/qwen_image/block.h"
#include "models/qwen_image/rope.h"
#include "pipeline/conditioning.h"
#include "pipeline/progress.h"

namespace annulus::qwen_image {

/// Fields are named after the checkpoint.
struct Transformer {
  TransformerConfig config;
  Linear timestep_embedder_1, timestep_embedder_2;  // 256 -> hidden -> hidden, SiLU between
  std::optional<Tensor> addition_t_embedding;       // [2, hidden], with use_additional_t_cond
  RmsNorm txt_norm;
  Linear img_in, txt_in;
  std::vector<Block> blocks;
  Linear norm_out;  // hidden -> 2 * hidden: scale, shift
  Linear proj_out;  // hidden -> patch_size^2 * out_channels
};

/// Reads a transformer folder's weights.
///
///   selection  of this component (selection.for_component("transformer"))
///   dtype      of the contexts it will run with: layers choose their attention for it
///
/// Throws CorruptFile naming tensor or key and file; Unsupported from the choice of attention.
Transformer load_transformer(const WeightScope& w, const Json& config,
                             const AttentionSelection& selection, DType dtype);

/// What stays the same over the steps: one prompt's (or negative prompt's) text and all positions.
/// Rows are this rank's where ranks share the sequence.
struct Prepared {
  Tensor text;                       // [batch, txt_seq, hidden] wide, after txt_norm and txt_in
  std::optional<Tensor> kv_lengths;  // [batch] i32: image rows and real text rows; absent: all real
  Tensor freqs;                      // [1, img_seq + txt_seq, head_dim / 2, 2]
  std::int64_t img_seq = 0;
  std::int64_t target_seq = 0;  // rows of the picture that is made; condition pictures follow
  Sequence sequence;            // over all ranks: each picture, then the text
  Sequence targets;             // its first segment alone
  bool shared = false;          // does this rank hold but a part?
};

/// The pictures' rows over all ranks, a segment each: the latents of a step are this rank's share
/// of it (see shard() in parallel/shard.h).
Sequence picture_sequence(std::span<const PatchGrid> grids);

/// `prompt` is whole on every rank. Throws InvalidRequest when shapes do not fit the model or a
/// position is out of its range.
Prepared prepare(const Context& ctx, const Transformer& model, const Conditioning& prompt,
                 std::span<const PatchGrid> grids);

/// What changes from step to step.
struct Step {
  const Tensor& latents;                                 // [batch, img_seq, in_channels], packed
  std::span<const double> timesteps;                     // [batch], 0 ... 1 (sigma)
  std::span<const std::int32_t> additional_t_cond = {};  // [batch], 0 or 1, where the model has it
  std::string place = {};  // "step 3 of 20", for other ranks' reports of this one
};

/// The prediction for the first `rows` image rows: [batch, rows, patch_size^2 * out_channels] in
/// the wide dtype. With a tap, everything is computed, the unused text half of the last block too,
/// and told as "img_in", "txt_in", "temb", "rope.img", "rope.txt", "block0.img", "block0.txt", ...,
/// "norm_out". Throws InvalidRequest when shapes do not fit.
Tensor forward(const Context& ctx, const Transformer& model, const Prepared& prompt,
               const Step& step, std::int64_t rows, const Tap& tap = {});

/// Floating-point operations of `forward`: what the result needs (the last block's text half and
/// padding of text do not count). `txt_lengths`: real text rows per entry; `rows` as in forward.
double forward_flop(const TransformerConfig& config, std::int64_t img_seq,
                    std::span<const std::int64_t> txt_lengths, std::int64_t rows);

/// Likewise of `prepare`.
double prepare_flop(const TransformerConfig& config, std::span<const std::int64_t> txt_lengths);

}  // namespace annulus::qwen_image

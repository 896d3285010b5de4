// Wan's diffusion transformer: packed latents, a prompt and timesteps to a prediction. Blocks are
// in block.h, positions in rope.h, packing of latents in latents.h, the memory of a causal video in
// key_cache.h. Start with `prepare_prompt` (once per prompt), `place_video` (once per video or
// block of frames) and `forward` (once per step). Source: diffusers WanTransformer3DModel.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/wan/block.h"
#include "models/wan/key_cache.h"
#include "models/wan/rope.h"
#include "pipeline/progress.h"

namespace annulus::wan {

/// What makes a picture's CLIP rows fit: condition_embedder.image_embedder.
struct ImageEmbedder {
  LayerNorm norm1;
  Linear ff_in, ff_out;  // image_dim -> image_dim, GELU, -> hidden
  LayerNorm norm2;
  std::optional<Tensor> pos_embed;  // [1, rows, image_dim]
};

/// Fields are named after the checkpoint.
struct Transformer {
  TransformerConfig config;
  Linear patch_embedding;                   // a patch's values -> hidden
  Linear time_embedder_1, time_embedder_2;  // freq_dim -> hidden -> hidden, SiLU between
  Linear time_proj;                         // hidden -> 6 * hidden
  Linear text_embedder_1, text_embedder_2;  // text_dim -> hidden -> hidden, GELU(tanh) between
  std::optional<ImageEmbedder> image_embedder;
  std::vector<Block> blocks;
  Linear proj_out;           // hidden -> patch values * out_channels
  Tensor scale_shift_table;  // [1, 2, hidden]: shift, scale
};

/// Reads a transformer folder's weights.
///
///   selection  of this component (selection.for_component("transformer"))
///   dtype      of the contexts it will run with: layers choose their attention for it
///
/// Throws CorruptFile naming tensor or key and file; Unsupported from read_transformer_config or
/// the choice of attention.
Transformer load_transformer(const WeightScope& w, const Json& config,
                             const AttentionSelection& selection, DType dtype);

/// What all steps have of a prompt: keys and values of each block, whole on every rank.
struct Prompt {
  std::vector<PromptKeys> keys;  // of each block
  std::int64_t batch = 0;
};

/// text [batch, txt_seq, text_dim], every row of which is attended to (the pipelines pad with
/// zeros); image [batch, rows, image_dim] of CLIP, undefined where the model has no image_dim.
/// Taps "text", embedded. Throws InvalidRequest when shapes do not fit the model.
Prompt prepare_prompt(const Context& ctx, const Transformer& model, const Tensor& text,
                      const Tensor& image = {}, const Tap& tap = {});

/// A video's rows, their positions, and which of them this rank has.
struct Placed {
  Sequence sequence;            // a segment per run of frames
  std::vector<TimedRows> rows;  // this rank's; timestep = segment
  Tensor freqs;                 // [1, rows here, head_dim / 2, 2]
  std::int64_t rows_here = 0;
  bool shared = false;  // does this rank hold but a part?
};

/// `frames` are the lengths of the runs of frames (patches along time) that each have a timestep of
/// their own; they add up to the grid's. Throws InvalidRequest when a position is out of range.
Placed place_video(const Context& ctx, const Transformer& model, const VideoGrid& grid,
                   std::span<const std::int64_t> frames);

/// What changes from step to step.
struct Step {
  const Tensor& latents;              // [batch, rows here, in_channels * patch values], packed
  std::span<const double> timesteps;  // [runs of frames] 0 ... 1000, the same for the whole batch,
                                      // or [runs of frames, batch]
  std::string place = {};             // "step 3 of 20", for other ranks' reports of this one
};

/// The prediction: [batch, rows here, out_channels * patch values], packed, in the wide dtype.
///
///   caches  one per block, their frames set with at(); empty: no cache
///   tap     "patch_embedding", "temb", "timestep_proj", "rope", "block0", ..., "norm_out"
///
/// Throws InvalidRequest when shapes do not fit.
Tensor forward(const Context& ctx, const Transformer& model, const Prompt& prompt,
               const Placed& video, const Step& step, std::span<KeyCache> caches = {},
               const Tap& tap = {});

/// Floating-point operations of `forward` for one entry of a batch, `keys` being the rows that each
/// row attends to, and of `prepare_prompt`.
double forward_flop(const TransformerConfig& config, std::int64_t rows, std::int64_t keys,
                    std::int64_t prompt_rows);
double prepare_flop(const TransformerConfig& config, std::int64_t txt_rows,
                    std::int64_t image_rows);

}  // namespace annulus::wan

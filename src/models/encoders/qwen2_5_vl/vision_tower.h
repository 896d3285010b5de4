#pragma once

#include <span>
#include <vector>

#include "attention/selection.h"
#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/image_grid.h"
#include "models/encoders/qwen2_5_vl/language_model.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace annulus::qwen2_5_vl {

/// Fields are named after the checkpoint.
struct VisionBlock {
  RmsNorm norm1;
  Linear qkv, proj;  // hidden -> 3 * hidden; hidden -> hidden
  RmsNorm norm2;
  Linear gate_proj, up_proj, down_proj;  // hidden -> inner, SwiGLU, inner -> hidden
  AttentionChoice attention;             // negotiated at load
};

struct PatchMerger {
  RmsNorm ln_q;
  Linear mlp_0, mlp_2;  // merged hidden -> merged hidden, GELU, -> hidden of the language model
};

struct VisionTower {
  Linear patch_embed;  // values of a patch -> hidden: the checkpoint's convolution as a product
  std::vector<VisionBlock> blocks;
  PatchMerger merger;
};

/// `w` is the scope that holds `patch_embed`, `blocks` and `merger`. Throws CorruptFile;
/// Unsupported from the choice of attention.
VisionTower load_vision_tower(const WeightScope& w, const VisionConfig& config,
                              const AttentionSelection& selection, DType dtype);

/// What the language model sees of pictures: [merged patches, out_hidden_size], wide dtype, in the
/// order of the pictures.
///
///   pixels  [patches, values of a patch]  any floating dtype, as append_patches makes them
///   grids   one per picture
///   tap     "vision.patch_embed" in the order of pixels; "vision.blockN" and "vision.merger"
///           window by window
///
/// Throws InvalidRequest when pixels and grids contradict. Source: transformers
/// Qwen2_5_VisionTransformerPretrainedModel.
Tensor forward(const Context& ctx, const VisionConfig& config, const VisionTower& tower,
               const Tensor& pixels, std::span<const ImageGrid> grids, const Tap& tap = {});

/// Floating-point operations of forward over those grids.
double vision_flop(const VisionConfig& config, std::span<const ImageGrid> grids);

}  // namespace annulus::qwen2_5_vl

#pragma once

#include <vector>

#include "attention/selection.h"
#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/image_grid.h"
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
  Linear
      patch_embed;  // values of a patch -> hidden: the convolution of the checkpoint as a product
  std::vector<VisionBlock> blocks;
  PatchMerger merger;
};

}  // namespace annulus::qwen2_5_vl

// CLIP's vision tower: pictures to rows of features (Wan 2.1 image-to-video). Start with `encode`.
// Source: transformers CLIPVisionModel and CLIPImageProcessor.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/selection.h"
#include "io/image.h"
#include "io/json.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace annulus::clip_vision {

/// The tower, under the names of image_encoder/config.json.
struct Config {
  std::int64_t hidden_size = 768, intermediate_size = 3072, num_attention_heads = 12;
  int num_hidden_layers = 12;
  std::int64_t image_size = 224, patch_size = 32;  // pixels
  Activation hidden_act = Activation::QuickGelu;
  float layer_norm_eps = 1e-5f;

  std::int64_t rows() const noexcept {  // of a picture: patches and the class token before them
    return image_size / patch_size * (image_size / patch_size) + 1;
  }
};

/// Reads image_encoder/config.json, or one whose `vision_config` it is. Throws CorruptFile naming
/// key and file, Unsupported for another activation.
Config read_config(const Json& json);

/// How pictures become pixels, under the names of preprocessor_config.json.
struct ImageProcessor {
  std::int64_t shortest_edge = 224, crop_height = 224, crop_width = 224;  // pixels
  std::array<double, 3> image_mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> image_std = {0.26862954, 0.26130258, 0.27577711};
};

/// Throws CorruptFile naming key and file, Unsupported for steps left out or another filter.
ImageProcessor read_image_processor(const Json& json);

struct Layer {
  LayerNorm layer_norm1;
  Linear q_proj, k_proj, v_proj, out_proj;
  LayerNorm layer_norm2;
  Linear fc1, fc2;
  AttentionChoice attention;  // negotiated at load
};

struct Encoder {
  Config config;
  Tensor class_embedding;     // [hidden]
  Linear patch_embedding;     // a patch's values, by channel, row, column -> hidden
  Tensor position_embedding;  // [rows, hidden]
  LayerNorm pre_layrnorm;
  std::vector<Layer> layers;  // all but the last, whose result nobody asks for
};

/// Reads an image_encoder folder's weights, with or without `vision_model.` before their names.
/// Throws CorruptFile naming tensor or key and file, Unsupported from read_config or the choice of
/// attention.
Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype);

/// The hidden states before the last layer [pictures, rows, hidden], wide. Throws InvalidRequest
/// for an empty picture, NonFinite.
Tensor encode(const Context& ctx, const Encoder& encoder, const ImageProcessor& processor,
              std::span<const Image* const> pictures);

/// Floating-point operations of encode for one picture.
double encode_flop(const Config& config);

}  // namespace annulus::clip_vision

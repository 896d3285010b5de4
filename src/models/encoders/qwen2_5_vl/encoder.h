// Qwen2.5-VL as text encoder: a causal language model whose last hidden state is taken, and a
// vision tower whose merged patches stand among the tokens. No generation, no key/value cache, no
// lm_head. Start with prompt.h for what pipelines call; language_model.h and vision_tower.h hold
// the two networks. Source: transformers Qwen2_5_VLForConditionalGeneration.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/language_model.h"
#include "models/encoders/qwen2_5_vl/vision_tower.h"

namespace annulus::qwen2_5_vl {

struct Encoder {
  Config config;
  LanguageModel language;
  std::optional<VisionTower> visual;  // absent from text-only checkpoints
};

/// Reads a text_encoder folder's weights: hub names (`model.layers.*`, `visual.*`) or those of
/// transformers 5 (`model.language_model.layers.*`, `model.visual.*`); `lm_head` is not read.
///
///   w          the component's root
///   config     text_encoder/config.json
///   selection  of this component (selection.for_component("text_encoder"))
///   dtype      of the contexts it will run with: layers choose their attention for it
///
/// Throws CorruptFile naming tensor or key and file, also for a tensor that nothing here reads;
/// Unsupported from the choice of attention.
Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype);

/// Pictures as the language model sees them.
struct ImageFeatures {
  Tensor rows;                   // [merged patches of all pictures, hidden], wide dtype
  std::vector<ImageGrid> grids;  // one per picture
};

/// Runs the vision tower over patches (append_patches) [patches, values of a patch], row-major;
/// encode_images of images.h makes them.
///
///   grids  one per picture
///   tap    of the vision tower
///
/// Throws InvalidRequest when patches and grids contradict, Unsupported when the checkpoint has no
/// tower, NonFinite.
ImageFeatures encode_patches(const Context& ctx, const Encoder& encoder,
                             std::span<const float> patches, std::vector<ImageGrid> grids,
                             const Tap& tap = {});

/// Floating-point operations of encode_patches for these grids.
double vision_flop(const Encoder& encoder, std::span<const ImageGrid> grids);

/// Where image tokens stand for the language model.
enum class ImagePositions : std::uint8_t {
  Grid,  // time, height and width of each merged patch: what released models were trained with
  Line   // counted like text: what transformers 5 does when mm_token_type_ids is not passed
};

/// Prompts as tokens, padded at the right.
struct TokenRows {
  std::int64_t batch = 0, seq = 0;
  std::vector<std::int32_t> ids;      // [batch, seq], row-major
  std::vector<std::int64_t> lengths;  // [batch] real tokens
};

/// The last hidden state [batch, seq, hidden], wide dtype; rows of padding as language_model.h
/// says.
///
///   images     [batch] the pictures whose features replace the image tokens of a row, in order; a
///              null entry, or an empty list: the row has none
///   positions  Line where no row has pictures
///   tap        of the language model
///
/// Throws InvalidRequest when tokens and pictures contradict or a row is longer than
/// max_position_embeddings; NonFinite.
Tensor encode_tokens(const Context& ctx, const Encoder& encoder, const TokenRows& tokens,
                     std::span<const ImageFeatures* const> images, ImagePositions positions,
                     const Tap& tap = {});

}  // namespace annulus::qwen2_5_vl

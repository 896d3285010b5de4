#include "models/encoders/qwen2_5_vl/encoder.h"

#include <algorithm>

#include "base/error.h"
#include "nn/embeddings.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus::qwen2_5_vl {

namespace {

void check_finite(const Context& ctx, const Tensor& x, const char* stage) {
  require(required_op(ctx.ops.all_finite, "all_finite")(ctx.stream, ctx.workspace, {.x = x}),
          ErrorCode::NonFinite, stage, ": wanted finite numbers, found NaN or Inf (encode)");
}

/// Puts the features of a row's pictures in place of its image tokens. x [seq, hidden], updated.
void place_images(const Context& ctx, Tensor& x, std::span<const std::int32_t> ids,
                  std::int32_t image_token_id, const Tensor& features) {
  const auto is_image = [&](std::int32_t id) { return id == image_token_id; };
  std::int64_t used = 0;
  for (auto begin = std::find_if(ids.begin(), ids.end(), is_image); begin != ids.end();) {
    const auto end = std::find_if_not(begin, ids.end(), is_image);
    const std::int64_t at = begin - ids.begin(), count = end - begin;
    require(used + count <= features.shape()[0], ErrorCode::InvalidRequest,
            "prompt: wanted as many image tokens as merged patches, ", features.shape()[0],
            ", found more");
    Tensor to = x.slice(0, at, at + count);
    copy(ctx.stream, features.slice(0, used, used + count), to);
    used += count;
    begin = std::find_if(end, ids.end(), is_image);
  }
  require(used == features.shape()[0], ErrorCode::InvalidRequest,
          "prompt: wanted as many image tokens as merged patches, ", features.shape()[0],
          ", found ", used);
}

Positions positions_of(const Encoder& encoder, const TokenRows& tokens,
                       std::span<const ImageFeatures* const> images, ImagePositions positions) {
  const bool any = std::any_of(images.begin(), images.end(), [](const ImageFeatures* row) {
    return row != nullptr && !row->grids.empty();
  });
  if (positions == ImagePositions::Line || !any) return line_positions(tokens.batch, tokens.seq);
  std::vector<std::span<const ImageGrid>> grids;  // [batch]
  for (const ImageFeatures* row : images)
    grids.push_back(row != nullptr ? std::span<const ImageGrid>(row->grids)
                                   : std::span<const ImageGrid>());
  return grid_positions(tokens.ids, tokens.lengths, grids,
                        encoder.config.vision->spatial_merge_size, encoder.config.image_token_id);
}

}  // namespace

Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype) {
  Encoder encoder;
  encoder.config = read_config(config);
  encoder.language = load_language_model(
      w.first_of({"model.language_model", "language_model.model", "language_model", "model"}),
      encoder.config.text, selection, dtype);
  for (const char* name : {"visual", "model.visual"}) {
    if (!w.contains(name)) continue;
    if (encoder.config.vision)
      encoder.visual = load_vision_tower(w / name, *encoder.config.vision, selection, dtype);
    else
      w.allow_unused(name);
  }
  w.allow_unused("lm_head");
  w.check_all_used();
  return encoder;
}

ImageFeatures encode_patches(const Context& ctx, const Encoder& encoder,
                             std::span<const float> patches, std::vector<ImageGrid> grids,
                             const Tap& tap) {
  require(encoder.visual.has_value(), ErrorCode::Unsupported,
          "pictures as conditions: wanted a text encoder with a vision tower, found none in the "
          "model");
  const VisionConfig& config = *encoder.config.vision;
  const auto count = static_cast<std::int64_t>(patches.size()) / config.patch_values();
  const Tensor pixels = to_device(ctx, patches, {count, config.patch_values()}, ctx.dtype);
  ImageFeatures features{forward(ctx, config, *encoder.visual, pixels, grids, tap),
                         std::move(grids)};
  check_finite(ctx, features.rows, "vision tower of the text encoder");
  return features;
}

double vision_flop(const Encoder& encoder, std::span<const ImageGrid> grids) {
  return encoder.config.vision ? vision_flop(*encoder.config.vision, grids) : 0;
}

Tensor encode_tokens(const Context& ctx, const Encoder& encoder, const TokenRows& tokens,
                     std::span<const ImageFeatures* const> images, ImagePositions positions,
                     const Tap& tap) {
  const Config& config = encoder.config;
  require(images.empty() || static_cast<std::int64_t>(images.size()) == tokens.batch,
          ErrorCode::InvalidRequest, "text encoder: wanted pictures for ", tokens.batch,
          " rows, found ", images.size());
  require(tokens.seq <= config.text.max_position_embeddings, ErrorCode::InvalidRequest,
          "prompt: wanted at most ", config.text.max_position_embeddings, " tokens, found ",
          tokens.seq);
  const Positions places = positions_of(encoder, tokens, images, positions);
  Tensor x = embed(ctx, tokens.ids, tokens.batch, tokens.seq,
                   encoder.language.embed_tokens);  // [batch, seq, hidden]
  for (std::size_t row = 0; row < images.size(); ++row) {
    if (images[row] == nullptr) continue;
    Tensor of_row = x.select(0, static_cast<std::int64_t>(row));  // [seq, hidden]
    place_images(ctx, of_row,
                 std::span(tokens.ids)
                     .subspan(row * static_cast<std::size_t>(tokens.seq),
                              static_cast<std::size_t>(tokens.lengths[row])),
                 config.image_token_id, images[row]->rows);
  }
  Tensor last = forward(ctx, config.text, encoder.language, x, tokens.lengths, places, tap);
  check_finite(ctx, last, "text encoder");
  return last;
}

}  // namespace annulus::qwen2_5_vl

#include "models/encoders/clip_vision/encoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "io/image_resize.h"
#include "nn/elementwise.h"
#include "nn/transfer.h"
#include "parallel/attend.h"
#include "tensor/copy.h"

namespace annulus::clip_vision {

namespace {

Layer load_layer(const WeightScope& w, const Config& c, const AttentionSelection& selection,
                 DType dtype) {
  const WeightScope attn = w / "self_attn", mlp = w / "mlp";
  const std::int64_t hidden = c.hidden_size;
  const auto square = [&](const char* name) { return load_linear(attn / name, hidden, hidden); };
  return {.layer_norm1 = load_layer_norm(w / "layer_norm1", hidden, c.layer_norm_eps),
          .q_proj = square("q_proj"),
          .k_proj = square("k_proj"),
          .v_proj = square("v_proj"),
          .out_proj = square("out_proj"),
          .layer_norm2 = load_layer_norm(w / "layer_norm2", hidden, c.layer_norm_eps),
          .fc1 = load_linear(mlp / "fc1", hidden, c.intermediate_size),
          .fc2 = load_linear(mlp / "fc2", c.intermediate_size, hidden),
          .attention = selection.choose(w.name(), {.heads = c.num_attention_heads,
                                                   .kv_heads = c.num_attention_heads,
                                                   .head_dim = hidden / c.num_attention_heads,
                                                   .dtype = dtype})};
}

/// Resized so that the shorter side fits, cut to the middle: rows of bytes.
Image cut(const ImageProcessor& processor, const Image& picture) {
  require(picture.width > 0 && picture.height > 0, ErrorCode::InvalidRequest,
          "picture: wanted pixels, found none");
  const std::int64_t shorter = std::min(picture.width, picture.height),
                     longer = std::max(picture.width, picture.height);
  const auto other = static_cast<int>(processor.shortest_edge * longer / shorter);
  const auto edge = static_cast<int>(processor.shortest_edge);
  const Image whole = picture.width <= picture.height
                          ? resize_like_torchvision(picture, edge, other, ResizeFilter::Bicubic)
                          : resize_like_torchvision(picture, other, edge, ResizeFilter::Bicubic);
  const auto height = static_cast<int>(processor.crop_height),
             width = static_cast<int>(processor.crop_width);
  // Halves to even, as Python rounds.
  const auto begin = [](int all, int part) {
    return static_cast<std::ptrdiff_t>(std::nearbyint((all - part) / 2.0));
  };
  const std::ptrdiff_t top = begin(whole.height, height), left = begin(whole.width, width);
  Image made = {width, height, {}};
  for (std::ptrdiff_t y = 0; y < height; ++y) {
    const auto row = whole.pixels.begin() + ((top + y) * whole.width + left) * 3;
    made.pixels.insert(made.pixels.end(), row, row + std::ptrdiff_t{3} * width);
  }
  return made;
}

/// Appends the patches of a picture, normalised: [patches, 3 * edge * edge].
void append_patches(const ImageProcessor& processor, const Image& picture, std::int64_t edge,
                    std::vector<float>& values) {
  const auto at = [&](std::int64_t y, std::int64_t x, std::size_t channel) {
    const auto byte =
        picture.pixels[static_cast<std::size_t>((y * picture.width + x) * 3) + channel];
    const float mean = static_cast<float>(processor.image_mean[channel]) * 255.0f;
    const float deviation = static_cast<float>(processor.image_std[channel]) * 255.0f;
    return (static_cast<float>(byte) - mean) / deviation;
  };
  for (std::int64_t top = 0; top + edge <= picture.height; top += edge)
    for (std::int64_t left = 0; left + edge <= picture.width; left += edge)
      for (std::size_t channel = 0; channel < 3; ++channel)
        for (std::int64_t y = top; y < top + edge; ++y)
          for (std::int64_t x = left; x < left + edge; ++x) values.push_back(at(y, x, channel));
}

/// Class token and patches with their positions: [pictures, rows, hidden], wide.
Tensor embedded(const Context& ctx, const Encoder& encoder, const Tensor& patches) {
  const Config& c = encoder.config;
  const std::int64_t pictures = patches.shape()[0];
  Tensor x = Tensor::empty({pictures, c.rows(), c.hidden_size}, ctx.wide, ctx.device);
  Tensor first = x.slice(1, 0, 1), rest = x.slice(1, 1, c.rows());
  copy(ctx.stream, encoder.class_embedding.reshape({1, 1, c.hidden_size}).expand(first.shape()),
       first);
  linear_into(ctx, patches, encoder.patch_embedding, Activation::None, rest);
  const Tensor positions = encoder.position_embedding.unsqueeze(0).expand(x.shape());
  return combine(ctx, {{1.0f, &x}, {1.0f, &positions}}, ctx.wide);
}

void run_layer(const Context& ctx, const Config& c, const Layer& layer, Tensor& x) {
  const Shape& s = x.shape();
  const Context wide = widened(ctx);
  {
    const Tensor normed = layer_norm(ctx, x, layer.layer_norm1);
    const auto heads = [&](const Linear& projection) {
      return linear(ctx, normed, projection)
          .reshape({s[0], s[1], c.num_attention_heads, c.hidden_size / c.num_attention_heads});
    };
    const Tensor q = heads(layer.q_proj), k = heads(layer.k_proj), v = heads(layer.v_proj);
    const Tensor seen = attend(ctx, layer.attention, {.q = q, .k = k, .v = v});
    add(ctx, x, linear(wide, seen.reshape(s), layer.out_proj));
  }
  const Tensor inner = linear(ctx, layer_norm(ctx, x, layer.layer_norm2), layer.fc1, c.hidden_act);
  add(ctx, x, linear(wide, inner, layer.fc2));
}

}  // namespace

Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype) {
  const Config c = read_config(config);
  const WeightScope root = w.first_of({"vision_model", ""}), embeddings = root / "embeddings";
  const std::int64_t hidden = c.hidden_size, edge = c.patch_size;
  Encoder made = {.config = c,
                  .class_embedding = embeddings.get("class_embedding", Shape{hidden}),
                  .patch_embedding = {.weight = (embeddings / "patch_embedding")
                                                    .get("weight", Shape{hidden, 3, edge, edge})
                                                    .reshape({hidden, 3 * edge * edge}),
                                      .bias = std::nullopt,
                                      .adapters = {}},
                  .position_embedding =
                      (embeddings / "position_embedding").get("weight", Shape{c.rows(), hidden}),
                  .pre_layrnorm = load_layer_norm(root / "pre_layrnorm", hidden, c.layer_norm_eps),
                  .layers = {}};
  for (int i = 0; i + 1 < c.num_hidden_layers; ++i)
    made.layers.push_back(
        load_layer(root / ("encoder.layers." + std::to_string(i)), c, selection, dtype));
  root.allow_unused("encoder.layers." + std::to_string(c.num_hidden_layers - 1));
  root.allow_unused("post_layernorm");
  embeddings.allow_unused("position_ids");
  w.check_all_used();
  return made;
}

Tensor encode(const Context& ctx, const Encoder& encoder, const ImageProcessor& processor,
              std::span<const Image* const> pictures) {
  const Config& c = encoder.config;
  require(processor.crop_height == c.image_size && processor.crop_width == c.image_size,
          ErrorCode::CorruptFile, "image_processor: wanted pictures of ", c.image_size, " x ",
          c.image_size, ", found ", processor.crop_width, " x ", processor.crop_height);
  std::vector<float> values;
  for (const Image* picture : pictures)
    append_patches(processor, cut(processor, *picture), c.patch_size, values);
  const Tensor patches = to_device(
      ctx, values,
      {static_cast<std::int64_t>(pictures.size()), c.rows() - 1, 3 * c.patch_size * c.patch_size},
      ctx.dtype);
  Tensor x = layer_norm(widened(ctx), embedded(ctx, encoder, patches), encoder.pre_layrnorm);
  for (const Layer& layer : encoder.layers) run_layer(ctx, c, layer, x);
  require(required_op(ctx.ops.all_finite, "all_finite")(ctx.stream, ctx.workspace, {.x = x}),
          ErrorCode::NonFinite, "image encoder: wanted finite numbers, found NaN or Inf (encode)");
  return x;
}

double encode_flop(const Config& c) {
  const auto hidden = static_cast<double>(c.hidden_size),
             inner = static_cast<double>(c.intermediate_size), rows = static_cast<double>(c.rows());
  return (c.num_hidden_layers - 1) *
             (rows * (8 * hidden * hidden + 4 * hidden * inner) + 4 * rows * rows * hidden) +
         2 * (rows - 1) * hidden * 3 * static_cast<double>(c.patch_size * c.patch_size);
}

}  // namespace annulus::clip_vision

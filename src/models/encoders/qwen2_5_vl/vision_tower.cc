#include "models/encoders/qwen2_5_vl/vision_tower.h"

#include <cmath>

#include "base/error.h"
#include "models/encoders/qwen2_5_vl/vision_order.h"
#include "nn/elementwise.h"
#include "nn/embeddings.h"
#include "nn/rope.h"
#include "nn/transfer.h"
#include "parallel/attend.h"

namespace annulus::qwen2_5_vl {

namespace {

constexpr float kEps = 1e-6f;  // of every norm here, whatever the language model has

VisionBlock load_block(const WeightScope& w, const VisionConfig& config,
                       const AttentionSelection& selection, DType dtype) {
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const WeightScope attn = w / "attn", mlp = w / "mlp";
  const AttentionSpec spec = {.heads = config.num_heads,
                              .kv_heads = config.num_heads,
                              .head_dim = config.head_dim(),
                              .dtype = dtype,
                              .varlen = true};
  return {
      .norm1 = load_rms_norm(w / "norm1", hidden, kEps),
      .qkv = load_linear(attn / "qkv", hidden, 3 * hidden),
      .proj = load_linear(attn / "proj", hidden, hidden),
      .norm2 = load_rms_norm(w / "norm2", hidden, kEps),
      .gate_proj = load_linear(mlp / "gate_proj", hidden, inner),
      .up_proj = load_linear(mlp / "up_proj", hidden, inner),
      .down_proj = load_linear(mlp / "down_proj", inner, hidden),
      .attention = selection.choose(w.name(), spec),
  };
}

/// Cosines and sines [1, patches, head_dim / 2, 2]: the first half of the pairs turns by the row of
/// a patch, the second by its column.
Tensor patch_freqs(const Context& ctx, const VisionConfig& config, const VisionOrder& order) {
  const std::vector<float> frequencies =
      inverse_frequencies(config.rope_theta, config.head_dim() / 2);
  std::vector<double> angles;
  angles.reserve(order.height.size() * frequencies.size() * 2);
  for (std::size_t patch = 0; patch < order.height.size(); ++patch)
    for (const std::int32_t place : {order.height[patch], order.width[patch]})
      for (const float frequency : frequencies)
        angles.push_back(static_cast<double>(static_cast<float>(place) * frequency));
  return rope_table(ctx, angles, static_cast<std::int64_t>(order.height.size()),
                    config.head_dim() / 2);
}

/// Rows of x [rows, hidden] in another order: [rows, hidden], wide dtype.
Tensor reordered(const Context& ctx, const Tensor& x, std::span<const std::int32_t> order) {
  const auto rows = static_cast<std::int64_t>(order.size());
  return embed(ctx, order, 1, rows, x).reshape({rows, x.shape()[1]});
}

/// x += layer(y), the sum and what is added in the wide dtype.
void add_linear(const Context& ctx, Tensor& x, const Tensor& y, const Linear& layer) {
  Tensor delta = Tensor::empty(x.shape(), ctx.wide, ctx.device);  // [patches, hidden]
  linear_into(ctx, y, layer, Activation::None, delta);
  add(ctx, x, delta);
}

void run_block(const Context& ctx, const VisionConfig& config, const VisionBlock& block, Tensor& x,
               const Tensor& freqs, const Tensor& cu_seqlens) {
  const std::int64_t patches = x.shape()[0], heads = config.num_heads;
  {
    const Tensor qkv = linear(ctx, rms_norm(ctx, x, block.norm1), block.qkv)
                           .reshape({patches, 3 * heads, config.head_dim()});
    Tensor turned =
        qkv.slice(1, 0, 2 * heads).unsqueeze(0);  // q and k, [1, patches, 2 * heads, ..]
    norm_rope(ctx, turned, freqs, RopeLayout::Halves, nullptr);
    const Tensor seen =
        attend_packed(ctx, block.attention, qkv.slice(1, 0, heads), qkv.slice(1, heads, 2 * heads),
                      qkv.slice(1, 2 * heads, 3 * heads), cu_seqlens, cu_seqlens);
    add_linear(ctx, x, seen.reshape({patches, config.hidden_size}), block.proj);
  }
  const Tensor normed = rms_norm(ctx, x, block.norm2);
  const Tensor inner = gated_activate(ctx, linear(ctx, normed, block.gate_proj),
                                      linear(ctx, normed, block.up_proj), Activation::Silu);
  add_linear(ctx, x, inner, block.down_proj);
}

/// [patches, hidden] -> [merged patches, out_hidden_size], wide dtype, window by window.
Tensor merge(const Context& ctx, const VisionConfig& config, const PatchMerger& merger,
             const Tensor& x) {
  const std::int64_t merged = x.shape()[0] / config.merge_unit();
  const Tensor normed =
      rms_norm(ctx, x, merger.ln_q).reshape({merged, config.merge_unit() * config.hidden_size});
  Tensor out = Tensor::empty({merged, config.out_hidden_size}, ctx.wide, ctx.device);
  linear_into(ctx, linear(ctx, normed, merger.mlp_0, Activation::GeluErf), merger.mlp_2,
              Activation::None, out);
  return out;
}

}  // namespace

VisionTower load_vision_tower(const WeightScope& w, const VisionConfig& config,
                              const AttentionSelection& selection, DType dtype) {
  const std::int64_t merged = config.merge_unit() * config.hidden_size;
  const Tensor kernel =
      (w / "patch_embed" / "proj")
          .get("weight", Shape{config.hidden_size, config.in_channels, config.temporal_patch_size,
                               config.patch_size, config.patch_size});
  VisionTower tower;
  tower.patch_embed = {.weight = kernel.reshape({config.hidden_size, config.patch_values()}),
                       .bias = std::nullopt,
                       .adapters = {}};
  for (int i = 0; i < config.depth; ++i)
    tower.blocks.push_back(load_block(w / "blocks" / std::to_string(i), config, selection, dtype));
  const WeightScope merger = w / "merger";
  tower.merger = {.ln_q = load_rms_norm(merger / "ln_q", config.hidden_size, kEps),
                  .mlp_0 = load_linear(merger / "mlp.0", merged, merged),
                  .mlp_2 = load_linear(merger / "mlp.2", merged, config.out_hidden_size)};
  return tower;
}

Tensor forward(const Context& ctx, const VisionConfig& config, const VisionTower& tower,
               const Tensor& pixels, std::span<const ImageGrid> grids, const Tap& tap) {
  const VisionOrder order = vision_order(config, grids);
  const auto patches = static_cast<std::int64_t>(order.height.size());
  require(patches > 0 && pixels.shape() == Shape{patches, config.patch_values()},
          ErrorCode::InvalidRequest, "vision tower: wanted pixels [", patches, ", ",
          config.patch_values(), "] of at least one picture, found ", pixels.shape());
  const auto count = [](const std::vector<std::int32_t>& list) {
    return static_cast<std::int64_t>(list.size());
  };
  const Tensor cu_windows = to_device(ctx, order.cu_windows, {count(order.cu_windows)});
  const Tensor cu_frames = to_device(ctx, order.cu_frames, {count(order.cu_frames)});
  const Tensor freqs = patch_freqs(ctx, config, order);

  Tensor embedded = Tensor::empty({patches, config.hidden_size}, ctx.wide, ctx.device);
  linear_into(ctx, pixels, tower.patch_embed, Activation::None, embedded);
  if (tap) tap("vision.patch_embed", embedded);
  // A merged patch moves as a whole: its patches are neighbours in memory.
  const Shape whole = {count(order.to_windows), config.merge_unit() * config.hidden_size};
  Tensor x = reordered(ctx, embedded.reshape(whole), order.to_windows)
                 .reshape(embedded.shape());  // [patches, hidden], window by window
  for (std::size_t i = 0; i < tower.blocks.size(); ++i) {
    run_block(ctx, config, tower.blocks[i], x, freqs,
              config.full_attention[i] ? cu_frames : cu_windows);
    if (tap) tap(text_of("vision.block", i), x);
  }
  const Tensor merged = merge(ctx, config, tower.merger, x);
  if (tap) tap("vision.merger", merged);
  return reordered(ctx, merged, order.from_windows);
}

double vision_flop(const VisionConfig& config, std::span<const ImageGrid> grids) {
  const VisionOrder order = vision_order(config, grids);
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto inner = static_cast<double>(config.intermediate_size);
  const double unit = static_cast<double>(config.merge_unit()) * hidden;
  const auto pairs = [](const std::vector<std::int32_t>& cu) {
    double sum = 0;
    for (std::size_t i = 1; i < cu.size(); ++i) sum += std::pow(cu[i] - cu[i - 1], 2);
    return sum;
  };
  const auto patches = static_cast<double>(order.height.size());
  double flop = 2 * patches * static_cast<double>(config.patch_values()) * hidden;
  for (const bool full : config.full_attention)
    flop += patches * 2 * hidden * (4 * hidden + 3 * inner) +
            4 * hidden * pairs(full ? order.cu_frames : order.cu_windows);
  return flop + patches / static_cast<double>(config.merge_unit()) * 2 * unit *
                    (unit + static_cast<double>(config.out_hidden_size));
}

}  // namespace annulus::qwen2_5_vl

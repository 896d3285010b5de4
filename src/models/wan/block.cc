#include "models/wan/block.h"

#include "models/wan/key_cache.h"
#include "nn/rope.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

struct Modulation {
  Tensor shift, scale, gate;  // [batch, 1, hidden]
};

/// The rows' modulation from all of the pass: [timesteps * batch, 6, hidden].
Modulation modulation_of(const Tensor& all, const TimedRows& rows, std::int64_t batch, int first) {
  const Tensor own = all.slice(0, rows.timestep * batch, (rows.timestep + 1) * batch);
  const auto part = [&](int i) { return own.slice(1, first + i, first + i + 1); };
  return {part(0), part(1), part(2)};
}

/// layer_norm and modulation, in the context's dtype.
Tensor normed(const Context& ctx, const Tensor& x, const TransformerConfig& config,
              const Pass& pass, const Tensor& modulation, int first) {
  Tensor out = Tensor::empty(x.shape(), ctx.dtype, ctx.device);
  for (const TimedRows& rows : pass.rows) {
    const Modulation m = modulation_of(modulation, rows, x.shape()[0], first);
    Tensor to = out.slice(1, rows.begin, rows.end);
    modulated_norm_into(ctx, x.slice(1, rows.begin, rows.end), config.eps, m.shift, m.scale, to);
  }
  return out;
}

/// x += gate * y.
void add_modulated(const Context& ctx, Tensor& x, const Tensor& y, const Pass& pass,
                   const Tensor& modulation, int first) {
  for (const TimedRows& rows : pass.rows) {
    const Modulation m = modulation_of(modulation, rows, x.shape()[0], first);
    Tensor to = x.slice(1, rows.begin, rows.end);
    add_gated(ctx, to, y.slice(1, rows.begin, rows.end), m.gate);
  }
}

Tensor heads_of(const TransformerConfig& config, const Tensor& x) {
  return x.reshape(
      {x.shape()[0], x.shape()[1], config.num_attention_heads, config.attention_head_dim});
}

/// What a layer adds to the residual stream. In f16 it is wide: values of released models may pass
/// 65504 here.
Tensor contribution(const Context& ctx, const Tensor& x, const Linear& layer) {
  return linear(ctx.dtype == DType::F16 ? widened(ctx) : ctx, x, layer);
}

Tensor self_attention(const Context& ctx, const TransformerConfig& config, const Attention& layer,
                      const Pass& pass, KeyCache* cache, Tensor x) {
  const auto turned = [&](const Linear& projection, const RmsNorm& norm) {
    Tensor rows = heads_of(config, rms_norm(ctx, linear(ctx, x, projection), norm));
    norm_rope(ctx, rows, pass.freqs, RopeLayout::Pairs, nullptr);
    return rows;
  };
  const Tensor q = turned(layer.to_q, layer.norm_q), k = turned(layer.to_k, layer.norm_k);
  const Tensor v = heads_of(config, linear(ctx, x, layer.to_v));
  const Shape shape = x.shape();
  x = {};  // free before attention allocates
  if (cache == nullptr)
    return attend(ctx, layer.attention, {.q = q, .k = k, .v = v, .sequence = pass.sequence})
        .reshape(shape);
  cache->put(ctx, k, v);
  const Tensor keys = cache->keys(), values = cache->values();
  const Sequence shown = cache->sequence();
  return attend(ctx, layer.attention,
                {.q = q,
                 .k = keys,
                 .v = values,
                 .sequence = pass.sequence != nullptr ? &shown : nullptr,
                 .queries = pass.sequence})
      .reshape(shape);
}

Tensor cross_attention(const Context& ctx, const TransformerConfig& config, const Attention& layer,
                       const PromptKeys& prompt, const Tensor& x) {
  const Tensor q = heads_of(config, rms_norm(ctx, linear(ctx, x, layer.to_q), layer.norm_q));
  Tensor out = attend(ctx, layer.attention, {.q = q, .k = prompt.k, .v = prompt.v});
  if (prompt.image_k.defined())
    add(ctx, out, attend(ctx, layer.attention, {.q = q, .k = prompt.image_k, .v = prompt.image_v}));
  return out.reshape(x.shape());
}

Attention load_attention(const WeightScope& w, const TransformerConfig& config,
                         const AttentionSelection& selection, bool added, DType dtype) {
  const std::int64_t hidden = config.hidden();
  const auto square = [&](const char* name) { return load_linear(w / name, hidden, hidden); };
  const auto norm = [&](const char* name) { return load_rms_norm(w / name, hidden, config.eps); };
  Attention layer = {
      .to_q = square("to_q"),
      .to_k = square("to_k"),
      .to_v = square("to_v"),
      .to_out = square("to_out.0"),
      .norm_q = norm("norm_q"),
      .norm_k = norm("norm_k"),
      .added = std::nullopt,
      .attention = selection.choose(w.name(), {.heads = config.num_attention_heads,
                                               .kv_heads = config.num_attention_heads,
                                               .head_dim = config.attention_head_dim,
                                               .dtype = dtype})};
  if (added) {
    // Released files have this norm, and nobody uses it.
    w.allow_unused("norm_added_q");
    layer.added =
        Attention::Added{square("add_k_proj"), square("add_v_proj"), norm("norm_added_k")};
  }
  return layer;
}

}  // namespace

Block load_block(const WeightScope& w, const TransformerConfig& config,
                 const AttentionSelection& shared, const AttentionSelection& whole, DType dtype) {
  const std::int64_t hidden = config.hidden();
  Block block = {.attn1 = load_attention(w / "attn1", config, shared, false, dtype),
                 .norm2 = std::nullopt,
                 .attn2 = load_attention(w / "attn2", config, whole,
                                         config.added_kv_proj_dim.has_value(), dtype),
                 .ffn_in = load_linear(w / "ffn.net.0.proj", hidden, config.ffn_dim),
                 .ffn_out = load_linear(w / "ffn.net.2", config.ffn_dim, hidden),
                 .scale_shift_table = w.get("scale_shift_table", Shape{1, 6, hidden})};
  if (config.cross_attn_norm) block.norm2 = load_layer_norm(w / "norm2", hidden, config.eps);
  return block;
}

PromptKeys prompt_keys(const Context& ctx, const TransformerConfig& config, const Block& block,
                       const Tensor& text, const Tensor& image) {
  const Attention& layer = block.attn2;
  PromptKeys made = {
      .k = heads_of(config, rms_norm(ctx, linear(ctx, text, layer.to_k), layer.norm_k)),
      .v = heads_of(config, linear(ctx, text, layer.to_v)),
      .image_k = {},
      .image_v = {}};
  if (layer.added && image.defined()) {
    made.image_k = heads_of(config, rms_norm(ctx, linear(ctx, image, layer.added->add_k_proj),
                                             layer.added->norm_added_k));
    made.image_v = heads_of(config, linear(ctx, image, layer.added->add_v_proj));
  }
  return made;
}

void forward(const Context& ctx, const TransformerConfig& config, const Block& block,
             const Pass& pass, const PromptKeys& prompt, KeyCache* cache, Tensor& x) {
  constexpr int kAttention = 0, kFeedForward = 3;  // first of their shift, scale and gate
  const Tensor table = block.scale_shift_table.expand(pass.timestep_proj.shape());
  const Tensor modulation = combine(ctx, {{1.0f, &pass.timestep_proj}, {1.0f, &table}}, ctx.wide);
  {
    const Tensor seen = self_attention(ctx, config, block.attn1, pass, cache,
                                       normed(ctx, x, config, pass, modulation, kAttention));
    add_modulated(ctx, x, contribution(ctx, seen, block.attn1.to_out), pass, modulation,
                  kAttention);
  }
  {
    const Tensor y =
        block.norm2 ? layer_norm(ctx, x, *block.norm2) : cast(ctx.stream, x, ctx.dtype);
    const Tensor seen = cross_attention(ctx, config, block.attn2, prompt, y);
    add(ctx, x, contribution(ctx, seen, block.attn2.to_out));
  }
  const Tensor inner = linear(ctx, normed(ctx, x, config, pass, modulation, kFeedForward),
                              block.ffn_in, Activation::GeluTanh);
  add_modulated(ctx, x, contribution(ctx, inner, block.ffn_out), pass, modulation, kFeedForward);
}

}  // namespace annulus::wan

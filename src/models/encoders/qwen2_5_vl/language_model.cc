#include "models/encoders/qwen2_5_vl/language_model.h"

#include "base/error.h"
#include "nn/elementwise.h"
#include "nn/rope.h"
#include "parallel/attend.h"
#include "tensor/host_ints.h"

namespace annulus::qwen2_5_vl {

namespace {

AttentionSpec spec_of(const TextConfig& config, std::size_t layer, DType dtype) {
  return {.heads = config.num_attention_heads,
          .kv_heads = config.num_key_value_heads,
          .head_dim = config.head_dim,
          .dtype = dtype,
          .causal = Causal::TopLeft,
          .window = config.sliding_window[layer] > 0,
          .kv_lengths = config.sliding_window[layer] == 0};
}

DecoderLayer load_layer(const WeightScope& w, const TextConfig& config, std::size_t index,
                        const AttentionSelection& selection, DType dtype) {
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const std::int64_t kv_hidden = config.num_key_value_heads * config.head_dim;
  const WeightScope attn = w / "self_attn", mlp = w / "mlp";
  return {
      .input_layernorm = load_rms_norm(w / "input_layernorm", hidden, config.rms_norm_eps),
      .q_proj = load_linear(attn / "q_proj", hidden, hidden),
      .k_proj = load_linear(attn / "k_proj", hidden, kv_hidden),
      .v_proj = load_linear(attn / "v_proj", hidden, kv_hidden),
      .o_proj = load_linear(attn / "o_proj", hidden, hidden, Bias::No),
      .post_attention_layernorm =
          load_rms_norm(w / "post_attention_layernorm", hidden, config.rms_norm_eps),
      .gate_proj = load_linear(mlp / "gate_proj", hidden, inner, Bias::No),
      .up_proj = load_linear(mlp / "up_proj", hidden, inner, Bias::No),
      .down_proj = load_linear(mlp / "down_proj", inner, hidden, Bias::No),
      .sliding_window = config.sliding_window[index],
      .attention = selection.choose(w.name(), spec_of(config, index, dtype)),
  };
}

/// x += layer(y), the sum and what is added in the wide dtype.
void add_linear(const Context& ctx, Tensor& x, const Tensor& y, const Linear& layer) {
  Tensor delta = Tensor::empty(x.shape(), ctx.wide, ctx.device);  // [batch, seq, hidden]
  linear_into(ctx, y, layer, Activation::None, delta);
  add(ctx, x, delta);
}

struct Rows {
  const Tensor& freqs;       // [batch, seq, head_dim / 2, 2]
  const Tensor& kv_lengths;  // [batch] i32
};

void run_layer(const Context& ctx, const TextConfig& config, const DecoderLayer& layer, Tensor& x,
               const Rows& rows) {
  const std::int64_t batch = x.shape()[0], seq = x.shape()[1];
  {
    const Tensor normed = rms_norm(ctx, x, layer.input_layernorm);
    const auto heads = [&](const Linear& projection, std::int64_t count) {
      return linear(ctx, normed, projection).reshape({batch, seq, count, config.head_dim});
    };
    Tensor q = heads(layer.q_proj, config.num_attention_heads);
    Tensor k = heads(layer.k_proj, config.num_key_value_heads);
    const Tensor v = heads(layer.v_proj, config.num_key_value_heads);
    norm_rope(ctx, q, rows.freqs, RopeLayout::Halves, nullptr);
    norm_rope(ctx, k, rows.freqs, RopeLayout::Halves, nullptr);
    // A window counts from the diagonal that ends at the last key, and key lengths would move that;
    // without them only padding sees padding.
    const bool window = layer.sliding_window > 0;
    const Tensor seen = attend(ctx, layer.attention,
                               {.q = q,
                                .k = k,
                                .v = v,
                                .causal = Causal::TopLeft,
                                .window = {window ? layer.sliding_window - 1 : -1, -1},
                                .kv_lengths = window ? nullptr : &rows.kv_lengths});
    add_linear(ctx, x, seen.reshape({batch, seq, config.hidden_size}), layer.o_proj);
  }
  const Tensor normed = rms_norm(ctx, x, layer.post_attention_layernorm);
  const Tensor inner = gated_activate(ctx, linear(ctx, normed, layer.gate_proj),
                                      linear(ctx, normed, layer.up_proj), Activation::Silu);
  add_linear(ctx, x, inner, layer.down_proj);
}

}  // namespace

LanguageModel load_language_model(const WeightScope& w, const TextConfig& config,
                                  const AttentionSelection& selection, DType dtype) {
  LanguageModel model;
  model.embed_tokens =
      (w / "embed_tokens").get("weight", Shape{config.vocab_size, config.hidden_size});
  for (std::size_t i = 0; i < config.sliding_window.size(); ++i)
    model.layers.push_back(
        load_layer(w / "layers" / std::to_string(i), config, i, selection, dtype));
  model.norm = load_rms_norm(w / "norm", config.hidden_size, config.rms_norm_eps);
  return model;
}

Tensor forward(const Context& ctx, const TextConfig& config, const LanguageModel& model, Tensor& x,
               std::span<const std::int64_t> lengths, const Positions& positions, const Tap& tap) {
  const Shape& shape = x.shape();
  require(shape.rank() == 3 && shape[0] == positions.batch && shape[1] == positions.seq &&
              shape[0] == static_cast<std::int64_t>(lengths.size()) &&
              shape[2] == config.hidden_size,
          ErrorCode::InvalidRequest, "language model: wanted [", lengths.size(), ", ",
          positions.seq, ", ", config.hidden_size, "], found ", shape);
  const std::vector<std::int32_t> counts(lengths.begin(), lengths.end());
  const Tensor kv_lengths = host_ints(counts);
  const Tensor freqs = rope_freqs(ctx, config, positions);
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    if (tap) tap(text_of("hidden_states.", i), x);
    run_layer(ctx, config, model.layers[i], x, {freqs, kv_lengths});
  }
  Context wide = ctx;
  wide.dtype = ctx.wide;
  Tensor last = rms_norm(wide, x, model.norm);
  if (tap) tap(text_of("hidden_states.", model.layers.size()), last);
  return last;
}

double language_flop(const TextConfig& config, std::span<const std::int64_t> lengths) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto kv_hidden = static_cast<double>(config.num_key_value_heads * config.head_dim);
  const auto inner = static_cast<double>(config.intermediate_size);
  const double per_token = 2 * hidden * (2 * hidden + 2 * kv_hidden + 3 * inner);
  double flop = 0;
  for (const std::int64_t length : lengths)
    for (const std::int64_t window : config.sliding_window) {
      const auto tokens = static_cast<double>(length);
      const double seen = window > 0 && window < length ? static_cast<double>(window)
                                                        : tokens;  // by the last query
      const double pairs = seen * (tokens - seen) + seen * (seen + 1) / 2;
      flop += per_token * tokens + 4 * hidden * pairs;  // q.k and the sum over v
    }
  return flop;
}

}  // namespace annulus::qwen2_5_vl

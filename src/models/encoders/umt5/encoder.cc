#include "models/encoders/umt5/encoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "nn/elementwise.h"
#include "nn/embeddings.h"
#include "parallel/attend.h"
#include "tensor/copy.h"
#include "tensor/host_ints.h"

namespace annulus::umt5 {

namespace {

Block load_block(const WeightScope& w, const Config& c, const AttentionSelection& selection,
                 DType dtype) {
  const WeightScope first = w / "layer.0", second = w / "layer.1";
  const WeightScope attn = first / "SelfAttention", ff = second / "DenseReluDense";
  const std::int64_t inner = c.inner();
  return {
      .attention_layer_norm = load_rms_norm(first / "layer_norm", c.d_model, c.layer_norm_epsilon),
      .q = load_linear(attn / "q", c.d_model, inner, Bias::No),
      .k = load_linear(attn / "k", c.d_model, inner, Bias::No),
      .v = load_linear(attn / "v", c.d_model, inner, Bias::No),
      .o = load_linear(attn / "o", inner, c.d_model, Bias::No),
      .relative_attention_bias =
          (attn / "relative_attention_bias")
              .get("weight", Shape{c.relative_attention_num_buckets, c.num_heads}),
      .ff_layer_norm = load_rms_norm(second / "layer_norm", c.d_model, c.layer_norm_epsilon),
      .wi_0 = load_linear(ff / "wi_0", c.d_model, c.d_ff, Bias::No),
      .wi_1 = load_linear(ff / "wi_1", c.d_model, c.d_ff, Bias::No),
      .wo = load_linear(ff / "wo", c.d_ff, c.d_model, Bias::No),
      .attention = selection.choose(w.name(), {.heads = c.num_heads,
                                               .kv_heads = c.num_heads,
                                               .head_dim = c.d_kv,
                                               .dtype = dtype,
                                               .kv_lengths = true,
                                               .additive_mask = true}),
  };
}

/// The bucket of every query and key: [seq, seq], row-major.
std::vector<std::int32_t> buckets(const Config& config, std::int64_t seq) {
  std::vector<std::int32_t> of_distance;  // -(seq - 1) ... seq - 1
  for (std::int64_t distance = 1 - seq; distance < seq; ++distance)
    of_distance.push_back(bucket_of(config, distance));
  std::vector<std::int32_t> all;
  all.reserve(static_cast<std::size_t>(seq * seq));
  for (std::int64_t query = 0; query < seq; ++query) {
    const auto first = of_distance.begin() + (seq - 1 - query);
    all.insert(all.end(), first, first + seq);
  }
  return all;
}

/// What attention adds to the scores: [1, heads, seq, seq], wide.
Tensor position_bias(const Context& ctx, const Block& block, std::span<const std::int32_t> ids,
                     std::int64_t seq) {
  const Tensor by_pair = embed(ctx, ids, seq, seq, block.relative_attention_bias);
  return contiguous(ctx.stream, by_pair.permute({2, 0, 1})).unsqueeze(0);
}

/// x += layer(y), the sum and what is added in the wide dtype.
void add_linear(const Context& ctx, Tensor& x, const Tensor& y, const Linear& layer) {
  add(ctx, x, linear(widened(ctx), y, layer));
}

struct Rows {
  std::span<const std::int32_t> buckets;  // [seq, seq]
  const Tensor& kv_lengths;               // [batch] i32
};

void run_block(const Context& ctx, const Config& config, const Block& block, const Rows& rows,
               Tensor& x) {
  const std::int64_t batch = x.shape()[0], seq = x.shape()[1];
  {
    const Tensor normed = rms_norm(ctx, x, block.attention_layer_norm);
    const auto heads = [&](const Linear& layer) {
      return linear(ctx, normed, layer).reshape({batch, seq, config.num_heads, config.d_kv});
    };
    const Tensor q = heads(block.q), k = heads(block.k), v = heads(block.v);
    const Tensor bias = position_bias(ctx, block, rows.buckets, seq);
    const Tensor seen = attend(ctx, block.attention,
                               {.q = q,
                                .k = k,
                                .v = v,
                                .scale = 1,  // T5 puts it into the weights
                                .kv_lengths = &rows.kv_lengths,
                                .mask = &bias});
    add_linear(ctx, x, seen.reshape({batch, seq, config.inner()}), block.o);
  }
  const Tensor normed = rms_norm(ctx, x, block.ff_layer_norm);
  const Tensor inner = gated_activate(ctx, linear(ctx, normed, block.wi_0),
                                      linear(ctx, normed, block.wi_1), Activation::GeluTanh);
  add_linear(ctx, x, inner, block.wo);
}

}  // namespace

Encoder load(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype) {
  Encoder made;
  made.config = read_config(config);
  const Config& c = made.config;
  made.shared = (w.contains("shared") ? w / "shared" : w / "encoder.embed_tokens")
                    .get("weight", Shape{c.vocab_size, c.d_model});
  for (int i = 0; i < c.num_layers; ++i)
    made.blocks.push_back(
        load_block(w / ("encoder.block." + std::to_string(i)), c, selection, dtype));
  made.final_layer_norm =
      load_rms_norm(w / "encoder.final_layer_norm", c.d_model, c.layer_norm_epsilon);
  w.allow_unused("encoder.embed_tokens");  // the same as shared
  w.check_all_used();
  return made;
}

std::int32_t bucket_of(const Config& config, std::int64_t distance) noexcept {
  const std::int64_t half = config.relative_attention_num_buckets / 2, exact = half / 2;
  const std::int64_t side = distance > 0 ? half : 0, away = std::abs(distance);
  if (away < exact) return static_cast<std::int32_t>(side + away);
  // In f32, as the reference, so that distances at a border fall where they do there.
  const float ratio =
      std::log(static_cast<float>(away) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(config.relative_attention_max_distance) /
                                  static_cast<double>(exact)));
  const auto far = static_cast<std::int64_t>(ratio * static_cast<float>(half - exact));
  return static_cast<std::int32_t>(side + std::min(exact + far, half - 1));
}

Tensor encode_tokens(const Context& ctx, const Encoder& encoder, std::span<const std::int32_t> ids,
                     std::span<const std::int64_t> lengths, const Tap& tap) {
  const auto batch = static_cast<std::int64_t>(lengths.size());
  require(batch > 0 && !ids.empty() && ids.size() % lengths.size() == 0, ErrorCode::InvalidRequest,
          "text encoder: wanted rows of tokens with a length each, found ", ids.size(),
          " tokens and ", batch, " lengths");
  const std::int64_t seq = static_cast<std::int64_t>(ids.size()) / batch;
  for (const std::int64_t length : lengths)
    require(length >= 1 && length <= seq, ErrorCode::InvalidRequest,
            "text encoder: wanted lengths in 1 ... ", seq, ", found ", length);
  const std::vector<std::int32_t> counts(lengths.begin(), lengths.end());
  const Tensor kv_lengths = host_ints(counts);
  const std::vector<std::int32_t> pairs = buckets(encoder.config, seq);
  Tensor x = embed(ctx, ids, batch, seq, encoder.shared);
  for (std::size_t i = 0; i < encoder.blocks.size(); ++i) {
    run_block(ctx, encoder.config, encoder.blocks[i], {pairs, kv_lengths}, x);
    if (tap) tap(text_of("block", i), x);
  }
  Tensor last = rms_norm(widened(ctx), x, encoder.final_layer_norm);
  require(required_op(ctx.ops.all_finite, "all_finite")(ctx.stream, ctx.workspace, {.x = last}),
          ErrorCode::NonFinite, "text encoder: wanted finite numbers, found NaN or Inf (encode)");
  return last;
}

double encode_flop(const Config& config, std::span<const std::int64_t> lengths) {
  const auto hidden = static_cast<double>(config.d_model),
             inner = static_cast<double>(config.inner()), ff = static_cast<double>(config.d_ff);
  double flop = 0;
  for (const std::int64_t length : lengths) {
    const auto tokens = static_cast<double>(length);
    flop += config.num_layers *
            (2 * tokens * hidden * (4 * inner + 3 * ff) + 4 * tokens * tokens * inner);
  }
  return flop;
}

}  // namespace annulus::umt5

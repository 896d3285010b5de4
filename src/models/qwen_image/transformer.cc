#include "models/qwen_image/transformer.h"

#include <algorithm>
#include <string>

#include "nn/embeddings.h"
#include "nn/rope.h"
#include "parallel/shard.h"
#include "tensor/copy.h"
#include "tensor/host_ints.h"

namespace annulus::qwen_image {

namespace {

constexpr float kEps = 1e-6f;
constexpr std::int64_t kSinusoids = 256;

/// [timesteps, hidden], wide.
Tensor time_embedding(const Context& wide, const Transformer& model,
                      std::span<const double> timesteps, std::span<const std::int32_t> additional) {
  const Tensor waves =
      sinusoids(wide, timesteps, {.channels = kSinusoids, .cos_first = true, .scale = 1000});
  Tensor temb = linear(wide, linear(wide, waves, model.timestep_embedder_1, Activation::Silu),
                       model.timestep_embedder_2);
  if (model.addition_t_embedding) {
    const auto count = static_cast<std::int64_t>(timesteps.size());
    const Tensor added = embed(wide, additional, 1, count, *model.addition_t_embedding);
    add(wide, temb, added.reshape(temb.shape()));
  }
  return temb;
}

std::int64_t rows_here(const Context& ctx, const Sequence& sequence) {
  const Communicator& group = ctx.mesh.sequence();
  return rows_of(runs_of(sequence, group.size(), group.rank()));
}

void check(const Transformer& model, const Prepared& prompt, const Step& step, std::int64_t rows) {
  const std::int64_t batch = prompt.text.shape()[0];
  const Shape want = {batch, prompt.img_seq, model.config.in_channels};
  require(step.latents.shape() == want, ErrorCode::InvalidRequest, "transformer: wanted latents ",
          want, ", found ", step.latents.shape());
  require(static_cast<std::int64_t>(step.timesteps.size()) == batch, ErrorCode::InvalidRequest,
          "transformer: wanted ", batch, " timesteps, found ", step.timesteps.size());
  require(static_cast<std::int64_t>(step.additional_t_cond.size()) ==
              (model.addition_t_embedding ? batch : 0),
          ErrorCode::InvalidRequest,
          "transformer: wanted additional_t_cond where use_additional_t_cond is set and nowhere "
          "else, found ",
          step.additional_t_cond.size(), " for a batch of ", batch);
  require(rows >= 0 && rows <= prompt.img_seq, ErrorCode::InvalidRequest,
          "transformer: wanted at most ", prompt.img_seq, " rows of prediction, found ", rows);
  require(!prompt.shared || rows == prompt.target_seq, ErrorCode::InvalidRequest,
          "transformer: wanted the ", prompt.target_seq, " target rows of this rank, found ", rows);
}

/// LayerNorm, scale and shift from the timestep, projection: [batch, seq, packed_out], wide.
Tensor head(const Context& ctx, const Transformer& model, const Tensor& img,
            const Tensor& silu_temb, const Tap& tap) {
  const std::int64_t batch = img.shape()[0], hidden = model.config.hidden();
  const Context wide = widened(ctx);
  const Tensor mod = linear(wide, silu_temb.slice(0, 0, batch), model.norm_out).unsqueeze(1);
  const Tensor x = modulated_norm(ctx, img, kEps, mod.slice(2, hidden, 2 * hidden),
                                  mod.slice(2, 0, hidden));  // scale comes first here
  if (tap) tap("norm_out", x);
  return linear(wide, x, model.proj_out);
}

}  // namespace

Transformer load_transformer(const WeightScope& w, const Json& config,
                             const AttentionSelection& selection, DType dtype) {
  const TransformerConfig c = read_transformer_config(config);
  const std::int64_t hidden = c.hidden();
  const WeightScope time = w / "time_text_embed";
  Transformer model = {
      .config = c,
      .timestep_embedder_1 = load_linear(time / "timestep_embedder.linear_1", kSinusoids, hidden),
      .timestep_embedder_2 = load_linear(time / "timestep_embedder.linear_2", hidden, hidden),
      .addition_t_embedding = std::nullopt,
      .txt_norm = load_rms_norm(w / "txt_norm", c.joint_attention_dim, kEps),
      .img_in = load_linear(w / "img_in", c.in_channels, hidden),
      .txt_in = load_linear(w / "txt_in", c.joint_attention_dim, hidden),
      .blocks = {},
      .norm_out = load_linear(w / "norm_out.linear", hidden, 2 * hidden),
      .proj_out = load_linear(w / "proj_out", hidden, c.packed_out()),
  };
  if (c.use_additional_t_cond)
    model.addition_t_embedding = (time / "addition_t_embedding").get("weight", Shape{2, hidden});
  for (int i = 0; i < c.num_layers; ++i)
    model.blocks.push_back(
        load_block(w / ("transformer_blocks." + std::to_string(i)), c, selection, dtype));
  return model;
}

Sequence picture_sequence(std::span<const PatchGrid> grids) {
  Sequence sequence;
  for (const PatchGrid& grid : grids) sequence.segments.push_back({.rows = grid.tokens()});
  return sequence;
}

Prepared prepare(const Context& ctx, const Transformer& model, const Conditioning& prompt,
                 std::span<const PatchGrid> grids) {
  const TransformerConfig& c = model.config;
  const Shape& shape = prompt.embeds.shape();
  require(shape.rank() == 3 && shape[2] == c.joint_attention_dim &&
              static_cast<std::int64_t>(prompt.lengths.size()) == shape[0],
          ErrorCode::InvalidRequest, "transformer: wanted text [batch, seq, ",
          c.joint_attention_dim, "] with a length per entry, found ", shape, " and ",
          prompt.lengths.size(), " lengths");
  require(!grids.empty(), ErrorCode::InvalidRequest, "transformer: wanted a picture, found none");
  const std::int64_t txt_seq = shape[1];
  for (const std::int64_t length : prompt.lengths)
    require(length >= 0 && length <= txt_seq, ErrorCode::InvalidRequest,
            "transformer: wanted text lengths up to ", txt_seq, ", found ", length);

  Prepared made;
  const Segment text = {.rows = txt_seq, .lengths = prompt.lengths};
  made.sequence = picture_sequence(grids);
  made.targets = {.segments = {made.sequence.segments.front()}};
  made.sequence.segments.push_back(text);
  made.shared = ctx.mesh.sequence().size() > 1;

  const std::vector<double> angles = joint_angles(c, grids, txt_seq);
  const std::int64_t pairs = c.attention_head_dim / 2;
  const std::int64_t seq = static_cast<std::int64_t>(angles.size()) / pairs;
  made.freqs = shard(ctx, rope_table(ctx, angles, seq, pairs), 1, made.sequence);
  const Tensor embeds = shard(ctx, prompt.embeds, 1, {.segments = {text}});
  made.text = linear(widened(ctx), rms_norm(ctx, embeds, model.txt_norm), model.txt_in);
  made.img_seq = made.freqs.shape()[1] - embeds.shape()[1];
  made.target_seq = rows_here(ctx, made.targets);
  if (made.shared) return made;

  std::vector<std::int32_t> lengths;
  for (const std::int64_t length : prompt.lengths)
    lengths.push_back(static_cast<std::int32_t>(made.img_seq + length));
  if (std::any_of(lengths.begin(), lengths.end(), [&](std::int64_t n) { return n != seq; }))
    made.kv_lengths = host_ints(lengths);
  return made;
}

Tensor forward(const Context& ctx, const Transformer& model, const Prepared& prompt,
               const Step& step, std::int64_t rows, const Tap& tap) {
  check(model, prompt, step, rows);
  const TransformerConfig& c = model.config;
  const std::int64_t txt_seq = prompt.text.shape()[1];
  const Context wide = widened(ctx);

  std::vector<double> timesteps(step.timesteps.begin(), step.timesteps.end());
  std::vector<std::int32_t> additional(step.additional_t_cond.begin(),
                                       step.additional_t_cond.end());
  if (c.zero_cond_t) {
    timesteps.resize(2 * timesteps.size(), 0.0);
    additional.insert(additional.end(), step.additional_t_cond.begin(),
                      step.additional_t_cond.end());
  }
  const Tensor temb = time_embedding(wide, model, timesteps, additional);
  const Pass pass = {.silu_temb = activate(wide, temb, Activation::Silu),
                     .freqs = prompt.freqs,
                     .kv_lengths = prompt.kv_lengths ? &*prompt.kv_lengths : nullptr,
                     .target_seq = c.zero_cond_t ? prompt.target_seq : prompt.img_seq,
                     .sequence = prompt.shared ? &prompt.sequence : nullptr,
                     .targets = prompt.shared ? &prompt.targets : nullptr};
  Streams streams = {.img = linear(wide, step.latents, model.img_in),
                     .txt = clone(ctx.stream, prompt.text)};
  if (tap) {
    tap("img_in", streams.img);
    tap("txt_in", streams.txt);
    tap("temb", temb);
    tap("rope.img", prompt.freqs.slice(1, 0, prompt.img_seq).select(0, 0));
    tap("rope.txt", prompt.freqs.slice(1, prompt.img_seq, prompt.img_seq + txt_seq).select(0, 0));
  }
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    const bool all = tap || i + 1 < model.blocks.size();
    if (prompt.shared) ctx.mesh.world().mark(text_of(step.place, ", layer ", i));
    const Wanted wanted = {.img = all ? prompt.img_seq : rows, .txt = all};
    forward(ctx, c, model.blocks[i], pass, wanted, streams);
    if (tap) {
      const std::string name = "block" + std::to_string(i);
      tap(name + ".txt", streams.txt);
      tap(name + ".img", streams.img);
    }
  }
  const Tensor img = tap ? streams.img : streams.img.slice(1, 0, rows);
  return head(ctx, model, img, pass.silu_temb, tap).slice(1, 0, rows);
}

double forward_flop(const TransformerConfig& config, std::int64_t img_seq,
                    std::span<const std::int64_t> txt_lengths, std::int64_t rows) {
  const auto hidden = static_cast<double>(config.hidden());
  const auto layers = static_cast<double>(config.num_layers);
  const auto img = static_cast<double>(img_seq), out = static_cast<double>(rows);
  const double square = 2 * hidden * hidden;  // of one row through hidden -> hidden
  const double modulations = layers * (config.zero_cond_t ? 3 : 2);
  double flop = 0;
  for (const std::int64_t length : txt_lengths) {
    const auto txt = static_cast<double>(length);
    const double seq = img + txt;
    // q, k, v, out and the MLP's 8; attention counts q k^T and p v.
    flop += (layers - 1) * (12 * square * seq + 4 * seq * seq * hidden);
    flop += square * (10 * out + 2 * seq) + 4 * out * seq * hidden;  // the last block
    flop += modulations * 6 * square + 2 * square;                   // adaLN, norm_out
    flop += (config.zero_cond_t ? 4 : 2) * hidden * (kSinusoids + hidden);
    flop += 2 * hidden * static_cast<double>(config.in_channels) * img;
    flop += 2 * hidden * static_cast<double>(config.packed_out()) * out;
  }
  return flop;
}

double prepare_flop(const TransformerConfig& config, std::span<const std::int64_t> txt_lengths) {
  double rows = 0;
  for (const std::int64_t length : txt_lengths) rows += static_cast<double>(length);
  return 2 * rows * static_cast<double>(config.joint_attention_dim) *
         static_cast<double>(config.hidden());
}

}  // namespace annulus::qwen_image

#include "models/wan/transformer.h"

#include <numeric>
#include <string>

#include "models/wan/latents.h"
#include "nn/embeddings.h"
#include "nn/rope.h"
#include "parallel/shard.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

constexpr float kImageNormEps = 1e-5f;
constexpr std::int64_t kTextRowsBesideImages = 512;  // the reference splits the prompt's rows there

ImageEmbedder load_image_embedder(const WeightScope& w, const TransformerConfig& c) {
  const std::int64_t in = *c.image_dim, hidden = c.hidden();
  ImageEmbedder made = {.norm1 = load_layer_norm(w / "norm1", in, kImageNormEps),
                        .ff_in = load_linear(w / "ff.net.0.proj", in, in),
                        .ff_out = load_linear(w / "ff.net.2", in, hidden),
                        .norm2 = load_layer_norm(w / "norm2", hidden, kImageNormEps),
                        .pos_embed = std::nullopt};
  if (c.pos_embed_seq_len) made.pos_embed = w.get("pos_embed", Shape{1, *c.pos_embed_seq_len, in});
  return made;
}

/// image [batch, rows, image_dim] -> [batch, rows, hidden].
Tensor embedded_image(const Context& ctx, const ImageEmbedder& model, const Tensor& image) {
  Tensor x = image;
  if (model.pos_embed) {
    const Shape& s = image.shape();  // pictures of an entry stand one after the other
    require(s[1] == model.pos_embed->shape()[1], ErrorCode::InvalidRequest, "transformer: wanted ",
            model.pos_embed->shape()[1], " rows of pictures (a first and a last one), found ",
            s[1]);
    const Tensor positions = model.pos_embed->expand(s);
    x = combine(ctx, {{1.0f, &image}, {1.0f, &positions}}, ctx.wide);
  }
  const Tensor inner =
      linear(ctx, layer_norm(ctx, x, model.norm1), model.ff_in, Activation::GeluErf);
  return layer_norm(ctx, linear(widened(ctx), inner, model.ff_out), model.norm2);
}

void check(const Transformer& model, const Prompt& prompt, const Placed& video, const Step& step,
           std::span<KeyCache> caches) {
  const Shape want = {prompt.batch, video.rows_here,
                      model.config.in_channels * model.config.patch_values()};
  require(step.latents.shape() == want, ErrorCode::InvalidRequest, "transformer: wanted latents ",
          want, ", found ", step.latents.shape());
  const std::size_t runs = video.sequence.segments.size();
  require(step.timesteps.size() == runs ||
              step.timesteps.size() == runs * static_cast<std::size_t>(prompt.batch),
          ErrorCode::InvalidRequest, "transformer: wanted ", runs,
          " timesteps, or as many for each of a batch of ", prompt.batch, ", found ",
          step.timesteps.size());
  require(caches.empty() || caches.size() == model.blocks.size(), ErrorCode::InvalidRequest,
          "transformer: wanted a cache for each of ", model.blocks.size(), " blocks, found ",
          caches.size());
}

/// [runs * batch]
std::vector<double> timesteps_of(const Step& step, std::size_t runs, std::int64_t batch) {
  if (step.timesteps.size() != runs) return {step.timesteps.begin(), step.timesteps.end()};
  std::vector<double> all;
  for (const double timestep : step.timesteps)
    all.insert(all.end(), static_cast<std::size_t>(batch), timestep);
  return all;
}

/// LayerNorm, scale and shift from the timestep, projection: [batch, rows, ...] wide, packed.
Tensor head(const Context& ctx, const Transformer& model, const Tensor& x, const Tensor& temb,
            const Placed& video, const Tap& tap) {
  const TransformerConfig& c = model.config;
  const Context wide = widened(ctx);
  const std::int64_t batch = x.shape()[0], hidden = c.hidden();
  const Shape pairs = {temb.shape()[0], 2, hidden};
  const Tensor both = temb.unsqueeze(1).expand(pairs),
               table = model.scale_shift_table.expand(pairs);
  const Tensor mod = combine(ctx, {{1.0f, &both}, {1.0f, &table}}, ctx.wide);
  Tensor normed = Tensor::empty(x.shape(), ctx.dtype, ctx.device);
  for (const TimedRows& rows : video.rows) {
    const Tensor own = mod.slice(0, rows.timestep * batch, (rows.timestep + 1) * batch);
    Tensor to = normed.slice(1, rows.begin, rows.end);
    modulated_norm_into(ctx, x.slice(1, rows.begin, rows.end), c.eps, own.slice(1, 0, 1),
                        own.slice(1, 1, 2), to);
  }
  if (tap) tap("norm_out", layer_norm(wide, x, {std::nullopt, std::nullopt, c.eps}));
  return channels_first(ctx, linear(wide, normed, model.proj_out), c.out_channels);
}

}  // namespace

Transformer load_transformer(const WeightScope& w, const Json& config,
                             const AttentionSelection& selection, DType dtype) {
  const TransformerConfig c = read_transformer_config(config);
  const std::int64_t hidden = c.hidden(), values = c.in_channels * c.patch_values();
  const WeightScope embedder = w / "condition_embedder", patches = w / "patch_embedding";
  const auto linear_of = [&](const char* name, std::int64_t in, std::int64_t out) {
    return load_linear(embedder / name, in, out);
  };
  AttentionSelection whole = selection;  // the prompt is whole on every rank: no ring, no LSE
  whole.ring = false;
  Transformer model = {
      .config = c,
      .patch_embedding = {.weight = patches
                                        .get("weight", Shape{hidden, c.in_channels, c.patch_size[0],
                                                             c.patch_size[1], c.patch_size[2]})
                                        .reshape({hidden, values}),
                          .bias = patches.get("bias", Shape{hidden}),
                          .adapters = {}},
      .time_embedder_1 = linear_of("time_embedder.linear_1", c.freq_dim, hidden),
      .time_embedder_2 = linear_of("time_embedder.linear_2", hidden, hidden),
      .time_proj = linear_of("time_proj", hidden, 6 * hidden),
      .text_embedder_1 = linear_of("text_embedder.linear_1", c.text_dim, hidden),
      .text_embedder_2 = linear_of("text_embedder.linear_2", hidden, hidden),
      .image_embedder = std::nullopt,
      .blocks = {},
      .proj_out = load_linear(w / "proj_out", hidden, c.out_channels * c.patch_values()),
      .scale_shift_table = w.get("scale_shift_table", Shape{1, 2, hidden})};
  if (c.image_dim) model.image_embedder = load_image_embedder(embedder / "image_embedder", c);
  for (int i = 0; i < c.num_layers; ++i)
    model.blocks.push_back(
        load_block(w / ("blocks." + std::to_string(i)), c, selection, whole, dtype));
  return model;
}

Prompt prepare_prompt(const Context& ctx, const Transformer& model, const Tensor& text,
                      const Tensor& image, const Tap& tap) {
  const TransformerConfig& c = model.config;
  const Shape& s = text.shape();
  require(s.rank() == 3 && s[2] == c.text_dim, ErrorCode::InvalidRequest,
          "transformer: wanted text [batch, seq, ", c.text_dim, "], found ", s);
  require(image.defined() == model.image_embedder.has_value(), ErrorCode::InvalidRequest,
          "transformer: wanted ", model.image_embedder ? "a picture" : "no picture", ", found ",
          image.defined() ? "one" : "none");
  Tensor picture;
  if (image.defined()) {
    require(image.shape().rank() == 3 && image.shape()[0] == s[0] &&
                image.shape()[2] == *c.image_dim && s[1] == kTextRowsBesideImages,
            ErrorCode::InvalidRequest, "transformer: wanted ", kTextRowsBesideImages,
            " rows of text and a picture's [", s[0], ", rows, ", *c.image_dim, "], found ", s,
            " and ", image.shape());
    picture = embedded_image(ctx, *model.image_embedder, image);
  }
  const Tensor rows = linear(ctx, linear(ctx, text, model.text_embedder_1, Activation::GeluTanh),
                             model.text_embedder_2);
  if (tap) tap("text", rows);
  Prompt made;
  made.batch = s[0];
  for (const Block& block : model.blocks)
    made.keys.push_back(prompt_keys(ctx, c, block, rows, picture));
  return made;
}

Placed place_video(const Context& ctx, const Transformer& model, const VideoGrid& grid,
                   std::span<const std::int64_t> frames) {
  require(std::accumulate(frames.begin(), frames.end(), std::int64_t{0}) == grid.frames,
          ErrorCode::InvalidRequest, "video: wanted runs of ", grid.frames,
          " frames together, found others");
  const std::vector<double> angles = video_angles(model.config, grid);
  Placed made;
  for (const std::int64_t count : frames)
    made.sequence.segments.push_back({.rows = count * grid.frame_rows()});
  const Communicator& group = ctx.mesh.sequence();
  for (const RowRun& run : runs_of(made.sequence, group.size(), group.rank()))
    made.rows.push_back({run.at, run.at + run.rows, static_cast<std::int64_t>(run.segment)});
  const Tensor table = rope_table(ctx, angles, grid.rows(), model.config.attention_head_dim / 2);
  made.freqs = shard(ctx, table, 1, made.sequence);
  made.rows_here = made.freqs.shape()[1];
  made.shared = group.size() > 1;
  return made;
}

Tensor forward(const Context& ctx, const Transformer& model, const Prompt& prompt,
               const Placed& video, const Step& step, std::span<KeyCache> caches, const Tap& tap) {
  check(model, prompt, video, step, caches);
  const TransformerConfig& c = model.config;
  const Context wide = widened(ctx);
  const std::vector<double> timesteps =
      timesteps_of(step, video.sequence.segments.size(), prompt.batch);
  const Tensor waves = sinusoids(wide, timesteps, {.channels = c.freq_dim, .cos_first = true});
  const Tensor temb = linear(wide, linear(wide, waves, model.time_embedder_1, Activation::Silu),
                             model.time_embedder_2);
  const Tensor proj = linear(wide, activate(wide, temb, Activation::Silu), model.time_proj);
  const Tensor by_part = proj.reshape({proj.shape()[0], 6, c.hidden()});
  Tensor x = linear(wide, step.latents, model.patch_embedding);
  if (tap) {
    tap("patch_embedding", x);
    tap("temb", temb);
    tap("timestep_proj", proj);
    tap("rope", video.freqs);
  }
  const Pass pass = {.rows = video.rows,
                     .timestep_proj = by_part,
                     .freqs = video.freqs,
                     .sequence = video.shared ? &video.sequence : nullptr};
  for (std::size_t i = 0; i < model.blocks.size(); ++i) {
    if (video.shared) ctx.mesh.world().mark(text_of(step.place, ", layer ", i));
    forward(ctx, c, model.blocks[i], pass, prompt.keys[i], caches.empty() ? nullptr : &caches[i],
            x);
    if (tap) tap(text_of("block", i), x);
  }
  return head(ctx, model, x, temb, video, tap);
}

double forward_flop(const TransformerConfig& config, std::int64_t rows, std::int64_t keys,
                    std::int64_t prompt_rows) {
  const auto hidden = static_cast<double>(config.hidden()), n = static_cast<double>(rows);
  const auto values = static_cast<double>(config.patch_values());
  const double square = 2 * hidden * hidden;  // of one row through hidden -> hidden
  // q, k, v, out of the one attention, q and out of the other; the prompt's keys exist already.
  const double of_block = 6 * square * n + 4 * n * static_cast<double>(keys) * hidden +
                          4 * n * static_cast<double>(prompt_rows) * hidden +
                          4 * hidden * static_cast<double>(config.ffn_dim) * n;
  return config.num_layers * of_block +
         2 * hidden * values * static_cast<double>(config.in_channels + config.out_channels) * n +
         square * 7 + 2 * hidden * static_cast<double>(config.freq_dim);
}

double prepare_flop(const TransformerConfig& config, std::int64_t txt_rows,
                    std::int64_t image_rows) {
  const auto hidden = static_cast<double>(config.hidden());
  const auto text = static_cast<double>(txt_rows), image = static_cast<double>(image_rows);
  const auto image_dim = static_cast<double>(config.image_dim.value_or(0));
  return 2 * text * hidden * (static_cast<double>(config.text_dim) + hidden) +
         2 * image * image_dim * (image_dim + hidden) +
         config.num_layers * 4 * hidden * hidden * (text + image);
}

}  // namespace annulus::wan

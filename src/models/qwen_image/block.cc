#include "models/qwen_image/block.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "nn/rope.h"

namespace annulus::qwen_image {

namespace {

constexpr float kEps = 1e-6f;

struct Modulation {
  Tensor shift, scale, gate;  // [batch, 1, hidden]
};

/// Image or text rows [begin, end) that share their modulation.
struct ModulatedRows {
  std::int64_t begin, end;
  Modulation attn, mlp;
};

/// `all` [batch, 6 * hidden] taken apart.
ModulatedRows modulated_rows(std::int64_t begin, std::int64_t end, const Tensor& all) {
  const std::int64_t hidden = all.shape()[1] / 6;
  const auto part = [&](int i) { return all.slice(1, i * hidden, (i + 1) * hidden).unsqueeze(1); };
  return {begin, end, {part(0), part(1), part(2)}, {part(3), part(4), part(5)}};
}

/// layer_norm and modulation of the first `rows` of x, in the context's dtype.
Tensor normed(const Context& ctx, const Tensor& x, std::int64_t rows,
              const std::vector<ModulatedRows>& parts, Modulation ModulatedRows::*which) {
  Tensor out = Tensor::empty(x.shape().with(1, rows), ctx.dtype, ctx.device);
  for (const ModulatedRows& part : parts) {
    const std::int64_t end = std::min(part.end, rows);
    if (part.begin >= end) continue;
    const Modulation& m = part.*which;
    Tensor to = out.slice(1, part.begin, end);
    modulated_norm_into(ctx, x.slice(1, part.begin, end), kEps, m.shift, m.scale, to);
  }
  return out;
}

/// x += gate * y over the rows of y.
void add_modulated(const Context& ctx, Tensor& x, const Tensor& y,
                   const std::vector<ModulatedRows>& parts, Modulation ModulatedRows::*which) {
  for (const ModulatedRows& part : parts) {
    const std::int64_t end = std::min(part.end, y.shape()[1]);
    if (part.begin >= end) continue;
    Tensor to = x.slice(1, part.begin, end);
    add_gated(ctx, to, y.slice(1, part.begin, end), (part.*which).gate);
  }
}

/// Projects x [batch, rows, hidden] into rows [first, first + rows) of `joint`.
void project(const Context& ctx, const Tensor& x, const Linear& layer, std::int64_t first,
             Tensor& joint) {
  Tensor to = joint.slice(1, first, first + x.shape()[1]);
  linear_into(ctx, x, layer, Activation::None, to);
}

/// Norm and rotation of rows [first, last) of `joint` [batch, seq, hidden], in place.
void turn(const Context& ctx, const TransformerConfig& config, const RmsNorm& norm,
          const Tensor& freqs, std::int64_t first, std::int64_t last, Tensor& joint) {
  const Shape heads = {joint.shape()[0], last - first, config.num_attention_heads,
                       config.attention_head_dim};
  Tensor rows = joint.slice(1, first, last).reshape(heads);
  norm_rope(ctx, rows, freqs, RopeLayout::Pairs, &norm);
}

/// What a layer adds to a residual stream. In f16 it is wide: values of released models pass 65504
/// here, and the reference then clamps.
Tensor contribution(const Context& ctx, const Tensor& x, const Linear& layer) {
  return linear(ctx.dtype == DType::F16 ? widened(ctx) : ctx, x, layer);
}

Tensor mlp(const Context& ctx, const Branch& branch, const Tensor& x) {
  return contribution(ctx, linear(ctx, x, branch.mlp_in, Activation::GeluTanh), branch.mlp_out);
}

struct Normed {
  Tensor img, txt;  // [batch, seq, hidden] of all rows: keys and values need them
};

/// Joint attention of the wanted rows over all rows: [batch, wanted rows, hidden].
Tensor attention(const Context& ctx, const TransformerConfig& config, const Block& block,
                 const Pass& pass, const Wanted& wanted, Normed x) {
  const Shape& shape = x.img.shape();
  const std::int64_t batch = shape[0], img_seq = shape[1], seq = img_seq + x.txt.shape()[1];
  const std::int64_t rows = wanted.img + (wanted.txt ? seq - img_seq : 0);
  const Tensor img_freqs = pass.freqs.slice(1, 0, img_seq),
               txt_freqs = pass.freqs.slice(1, img_seq, seq);
  const auto joint = [&](std::int64_t count) {
    return Tensor::empty({batch, count, config.hidden()}, ctx.dtype, ctx.device);
  };

  Tensor q = joint(rows), k = joint(seq), v = joint(seq);
  project(ctx, x.img.slice(1, 0, wanted.img), block.img.to_q, 0, q);
  turn(ctx, config, block.img.norm_q, img_freqs.slice(1, 0, wanted.img), 0, wanted.img, q);
  if (wanted.txt) {
    project(ctx, x.txt, block.txt.to_q, wanted.img, q);
    turn(ctx, config, block.txt.norm_q, txt_freqs, wanted.img, rows, q);
  }
  project(ctx, x.img, block.img.to_k, 0, k);
  turn(ctx, config, block.img.norm_k, img_freqs, 0, img_seq, k);
  project(ctx, x.txt, block.txt.to_k, img_seq, k);
  turn(ctx, config, block.txt.norm_k, txt_freqs, img_seq, seq, k);
  project(ctx, x.img, block.img.to_v, 0, v);
  project(ctx, x.txt, block.txt.to_v, img_seq, v);
  x = {};  // free before attention allocates

  const auto heads = [&](const Tensor& t) {
    return t.reshape({batch, t.shape()[1], config.num_attention_heads, config.attention_head_dim});
  };
  const Tensor out = attend(ctx, block.attention,
                            {.q = heads(q),
                             .k = heads(k),
                             .v = heads(v),
                             .kv_lengths = pass.kv_lengths,
                             .sequence = pass.sequence,
                             .queries = wanted.txt ? nullptr : pass.targets,
                             .query_block = ctx.row_block});
  return out.reshape({batch, rows, config.hidden()});
}

}  // namespace

Block load_block(const WeightScope& w, const TransformerConfig& config,
                 const AttentionSelection& selection, DType dtype) {
  const WeightScope attn = w / "attn";
  const std::int64_t hidden = config.hidden(), head_dim = config.attention_head_dim;
  const auto branch = [&](const std::string& prefix,
                          const std::array<std::string_view, 6>& name) -> Branch {
    return {
        .mod = load_linear(w / (prefix + "_mod.1"), hidden, 6 * hidden),
        .to_q = load_linear(attn / name[0], hidden, hidden),
        .to_k = load_linear(attn / name[1], hidden, hidden),
        .to_v = load_linear(attn / name[2], hidden, hidden),
        .norm_q = load_rms_norm(attn / name[3], head_dim, kEps),
        .norm_k = load_rms_norm(attn / name[4], head_dim, kEps),
        .to_out = load_linear(attn / name[5], hidden, hidden),
        .mlp_in = load_linear(w / (prefix + "_mlp.net.0.proj"), hidden, 4 * hidden),
        .mlp_out = load_linear(w / (prefix + "_mlp.net.2"), 4 * hidden, hidden),
    };
  };
  const AttentionSpec spec = {.heads = config.num_attention_heads,
                              .kv_heads = config.num_attention_heads,
                              .head_dim = head_dim,
                              .dtype = dtype,
                              .kv_lengths = true};
  return {
      .img = branch("img", {"to_q", "to_k", "to_v", "norm_q", "norm_k", "to_out.0"}),
      .txt = branch("txt", {"add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q",
                            "norm_added_k", "to_add_out"}),
      .attention = selection.choose(w.name(), spec),
  };
}

void forward(const Context& ctx, const TransformerConfig& config, const Block& block,
             const Pass& pass, const Wanted& wanted, Streams& streams) {
  const std::int64_t batch = streams.img.shape()[0], img_seq = streams.img.shape()[1],
                     txt_seq = streams.txt.shape()[1];
  const Context wide = widened(ctx);
  const Tensor img_mod = linear(wide, pass.silu_temb, block.img.mod);  // [batch (x 2), 6 * hidden]
  const Tensor txt_mod = linear(wide, pass.silu_temb.slice(0, 0, batch), block.txt.mod);
  std::vector<ModulatedRows> img = {modulated_rows(0, pass.target_seq, img_mod.slice(0, 0, batch))};
  if (pass.target_seq < img_seq)
    img.push_back(modulated_rows(pass.target_seq, img_seq, img_mod.slice(0, batch, 2 * batch)));
  const std::vector<ModulatedRows> txt = {modulated_rows(0, txt_seq, txt_mod)};

  {
    const Tensor merged = attention(ctx, config, block, pass, wanted,
                                    {normed(ctx, streams.img, img_seq, img, &ModulatedRows::attn),
                                     normed(ctx, streams.txt, txt_seq, txt, &ModulatedRows::attn)});
    streams.img = streams.img.slice(1, 0, wanted.img);
    add_modulated(ctx, streams.img,
                  contribution(ctx, merged.slice(1, 0, wanted.img), block.img.to_out), img,
                  &ModulatedRows::attn);
    if (wanted.txt)
      add_modulated(
          ctx, streams.txt,
          contribution(ctx, merged.slice(1, wanted.img, wanted.img + txt_seq), block.txt.to_out),
          txt, &ModulatedRows::attn);
  }
  const auto feed_forward = [&](Tensor& x, const Branch& branch,
                                const std::vector<ModulatedRows>& parts) {
    add_modulated(ctx, x,
                  mlp(ctx, branch, normed(ctx, x, x.shape()[1], parts, &ModulatedRows::mlp)), parts,
                  &ModulatedRows::mlp);
  };
  feed_forward(streams.img, block.img, img);
  if (wanted.txt) feed_forward(streams.txt, block.txt, txt);
}

}  // namespace annulus::qwen_image

#include <cmath>

#include "apps/cli/bench.h"
#include "models/qwen_image/block.h"
#include "nn/rope.h"
#include "parallel/mesh.h"

namespace annulus::cli {

namespace {

constexpr std::int64_t kHeads = 24, kHeadDim = 128,
                       kHidden = kHeads * kHeadDim;  // of the released Qwen-Image

// Weights of one block with values of ordinary size, as a checkpoint would hold them.
WeightScope random_block(Stream& stream, DType dtype) {
  std::map<std::string, Tensor> tensors;
  std::uint32_t seed = 1;
  const auto add = [&](const std::string& name, const Shape& shape) {
    tensors.emplace("block." + name, random_tensor(stream, shape, dtype, seed++));
  };
  const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  for (const char* name :
       {"to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"})
    linear(std::string("attn.") + name, kHidden, kHidden);
  for (const char* name : {"norm_q", "norm_k", "norm_added_q", "norm_added_k"})
    add(std::string("attn.") + name + ".weight", {kHeadDim});
  for (const std::string branch : {"img", "txt"}) {
    linear(branch + "_mod.1", kHidden, 6 * kHidden);
    linear(branch + "_mlp.net.0.proj", kHidden, 4 * kHidden);
    linear(branch + "_mlp.net.2", 4 * kHidden, kHidden);
  }
  return WeightScope::of(std::move(tensors), stream.device());
}

double block_flop(std::int64_t tokens) {
  const auto seq = static_cast<double>(tokens), hidden = static_cast<double>(kHidden);
  const double linear = 2 * seq * hidden * hidden * 12;  // q, k, v, out and the MLP's 4 + 4
  const double modulation = 2 * 2 * hidden * 6 * hidden;
  return linear + modulation + 4 * seq * seq * hidden;
}

BenchRow bench_one(const Platform& platform, const BenchOptions& options, DType compute,
                   DType stored, std::int64_t img_seq, std::int64_t txt_seq) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const std::unique_ptr<Communicator> world = make_single_rank();
  const Mesh mesh(*world, {});
  const Context ctx = {Lane{device, *stream, workspace, mesh}, platform.ops(), compute,
                       platform.wide_dtype()};

  qwen_image::TransformerConfig config;
  config.num_attention_heads = kHeads;
  config.attention_head_dim = kHeadDim;
  const AttentionSelection selection = {.order = platform.attention(),
                                        .ring_default = platform.default_ring_attention_backend(),
                                        .backend = options.backend,
                                        .component = "transformer"};
  const WeightScope weights = random_block(*stream, stored);
  const qwen_image::Block block =
      qwen_image::load_block(weights / "block", config, selection, compute);

  const std::int64_t seq = img_seq + txt_seq;
  std::vector<double> angles(static_cast<std::size_t>(seq * kHeadDim / 2));
  for (std::size_t i = 0; i < angles.size(); ++i)
    angles[i] = std::fmod(static_cast<double>(i) * 0.37, 6.28);
  const Tensor freqs = rope_table(ctx, angles, seq, kHeadDim / 2);
  const qwen_image::Pass pass = {random_tensor(*stream, {1, kHidden}, ctx.wide, 91), freqs, nullptr,
                                 img_seq};
  const Tensor img = random_tensor(*stream, {1, img_seq, kHidden}, ctx.wide, 92),
               txt = random_tensor(*stream, {1, txt_seq, kHidden}, ctx.wide, 93);
  const Timing timing = time_runs(options.seconds, [&] {
    qwen_image::Streams streams = {img, txt};
    qwen_image::forward(ctx, config, block, pass, {.img = img_seq, .txt = true}, streams);
    device.synchronize(*stream, 600000);
  });
  return {"block (Qwen-Image)",
          text_of(img_seq, ",", txt_seq),
          compute == stored ? std::string(name_of(compute))
                            : text_of(name_of(compute), ", weights ", name_of(stored)),
          timing,
          block_flop(seq),
          static_cast<double>(weights.bytes_used())};
}

}  // namespace

std::vector<BenchRow> bench_block(const Platform& platform, const BenchOptions& options) {
  std::vector<BenchRow> rows;
  const std::vector<std::vector<std::int64_t>> usual = {{4096, 128}};
  for (const std::vector<std::int64_t>& shape : options.shapes.empty() ? usual : options.shapes) {
    require(shape.size() == 2, ErrorCode::InvalidRequest,
            "--shape: wanted IMAGE,TEXT tokens, found ", shape.size(), " numbers");
    for (const DType dtype : options.dtypes) {
      rows.push_back(bench_one(platform, options, dtype, dtype, shape[0], shape[1]));
      if (dtype == DType::F32)
        rows.push_back(bench_one(platform, options, dtype, DType::BF16, shape[0], shape[1]));
    }
  }
  return rows;
}

}  // namespace annulus::cli

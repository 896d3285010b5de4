#include <sstream>

#include "apps/cli/bench.h"

namespace annulus::cli {

namespace {

// batch, heads, seq_q, seq_kv, head_dim
const std::vector<std::vector<std::int64_t>>& default_shapes() {
  static const std::vector<std::vector<std::int64_t>> shapes = {{1, 24, 4096, 4096, 128},
                                                                {1, 24, 1024, 1024, 128},
                                                                {1, 12, 4096, 4096, 64},
                                                                {2, 16, 2048, 2048, 64},
                                                                {1, 24, 256, 256, 128}};
  return shapes;
}

BenchRow bench_one(const Platform& platform, const AttentionBackend& backend,
                   const BenchOptions& options, DType dtype, const std::vector<std::int64_t>& s) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const Tensor q = random_tensor(*stream, {s[0], s[2], s[1], s[4]}, dtype, 1);
  const Tensor k = random_tensor(*stream, {s[0], s[3], s[1], s[4]}, dtype, 2);
  const Tensor v = random_tensor(*stream, {s[0], s[3], s[1], s[4]}, dtype, 3);
  Tensor out = Tensor::empty(q.shape(), dtype, device);
  Tensor lse = Tensor::empty({s[0], s[1], s[2]}, DType::F32, device);
  const AttentionArgs args = {
      .q = q, .k = k, .v = v, .causal = options.causal ? Causal::BottomRight : Causal::No};
  AttentionSpec spec = spec_of(args, true);
  const bool with_lse = !backend.refusal(spec).has_value();
  const Timing timing = time_runs(options.seconds, [&] {
    backend.run(*stream, workspace, args, out, with_lse ? &lse : nullptr);
    device.synchronize(*stream, 600000);
  });
  std::ostringstream shape;
  for (std::size_t i = 0; i < s.size(); ++i) shape << (i == 0 ? "" : ",") << s[i];
  const double flop = 4.0 * static_cast<double>(s[0]) * static_cast<double>(s[1]) *
                      static_cast<double>(s[2]) * static_cast<double>(s[3]) *
                      static_cast<double>(s[4]) * (options.causal ? 0.5 : 1.0);
  return {text_of("attention ", backend.name(), with_lse ? " (LSE)" : "",
                  options.causal ? " causal" : ""),
          shape.str(),
          std::string(name_of(dtype)),
          timing,
          flop,
          static_cast<double>(2 * q.bytes() + k.bytes() + v.bytes())};
}

}  // namespace

std::vector<BenchRow> bench_attention(const Platform& platform, const BenchOptions& options) {
  std::vector<BenchRow> rows;
  bool known = options.backend.empty();
  for (const std::vector<std::int64_t>& shape :
       options.shapes.empty() ? default_shapes() : options.shapes) {
    require(shape.size() == 5, ErrorCode::InvalidRequest,
            "--shape: wanted BATCH,HEADS,SEQ_Q,SEQ_KV,HEAD_DIM, found ", shape.size(), " numbers");
    for (const DType dtype : options.dtypes)
      for (const AttentionBackend* backend : platform.attention()) {
        if (!options.backend.empty() &&
            backend->name() != canonical_attention_backend(options.backend))
          continue;
        known = true;
        const AttentionSpec spec = {.heads = shape[1],
                                    .kv_heads = shape[1],
                                    .head_dim = shape[4],
                                    .dtype = dtype,
                                    .causal = options.causal ? Causal::BottomRight : Causal::No};
        if (!backend->refusal(spec))
          rows.push_back(bench_one(platform, *backend, options, dtype, shape));
      }
  }
  require(known, ErrorCode::NotFound, "--backend: wanted an attention backend of ", platform.name(),
          ", found ", options.backend);
  return rows;
}

}  // namespace annulus::cli

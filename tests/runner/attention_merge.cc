#include "attention/merge.h"
#include "attention_case.h"
#include "kinds.h"
#include "tensor/copy.h"

namespace annulus::goldens {
namespace {

struct Chunk {
  std::int64_t begin, end;
};

std::vector<Chunk> chunks_of(const Json& args) {
  std::vector<Chunk> chunks;
  std::int64_t begin = 0;
  for (const std::int64_t size : args.get<std::vector<std::int64_t>>("chunks")) {
    chunks.push_back({begin, begin + size});
    begin += size;
  }
  return chunks;
}

/// Each chunk alone in f32, then all merged pairwise.
void merge(const AttentionCase& whole, const std::vector<Chunk>& chunks,
           const AttentionBackend& backend, Workbench& bench, Comparison& comparison) {
  Workspace workspace(bench.host());
  Tensor out, lse;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const AttentionCase part = whole.of_keys(chunks[i].begin, chunks[i].end, bench.host());
    Tensor part_out = Tensor::empty(part.q().shape(), DType::F32, bench.host());
    Tensor part_lse = Tensor::empty(part.lse_shape(), DType::F32, bench.host());
    backend.run(bench.host_stream(), workspace, part.args(), part_out, &part_lse);
    comparison.add(text_of("chunk", i, ".out"), part_out);
    comparison.add(text_of("chunk", i, ".lse"), part_lse);
    if (i == 0) {
      out = clone(bench.host_stream(), part_out);
      lse = clone(bench.host_stream(), part_lse);
    } else {
      merge_partial(bench.threads(), out.view<float, 4>(), lse.view<float, 3>(),
                    part_out.view<float, 4>(), part_lse.view<float, 3>());
    }
  }
  comparison.add("out", out);
  comparison.add("lse", lse);
}

/// The chunks folded into one running result, as a ring does.
void fold(const AttentionCase& whole, const std::vector<Chunk>& chunks,
          const AttentionBackend& backend, Workbench& bench, Comparison& comparison) {
  Workspace workspace(bench.host());
  const Shape& q = whole.q().shape();
  RunningAttention running = nothing_seen(bench.host_stream(), q[0], q[1], q[2], q[3]);
  for (const Chunk& chunk : chunks) {
    const AttentionCase part = whole.of_keys(chunk.begin, chunk.end, bench.host());
    backend.fold(bench.host_stream(), workspace, part.args(), running);
  }
  Tensor out = Tensor::empty(q, whole.q().dtype(), bench.host());
  Tensor lse = Tensor::empty(whole.lse_shape(), DType::F32, bench.host());
  finish(bench.host_stream(), running, out, &lse);
  comparison.add("out", out);
  comparison.add("lse", lse);
}

}  // namespace

void run_attention_merge(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const AttentionCase whole(golden, bench.host());
  const std::vector<Chunk> chunks = chunks_of(golden.json()["args"]);
  for (const NamedBackend& named : attention_backends()) {
    comparison.variant(named.label);
    merge(whole, chunks, *named.backend, bench, comparison);
    comparison.variant(named.label + " folded");
    fold(whole, chunks, *named.backend, bench, comparison);
    for (std::size_t i = 0; i < chunks.size(); ++i)
      for (const char* of : {".out", ".lse"})
        comparison.leave_out(text_of("chunk", i, of), "chunks are not apart");
  }
}

}  // namespace annulus::goldens

#include <algorithm>
#include <chrono>
#include <sstream>

#include "apps/cli/bench.h"
#include "engine/agreement.h"
#include "parallel/attend.h"
#include "parallel/mesh.h"

namespace annulus::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostRuns = 1000, kLeastRuns = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// As time_runs, but all ranks begin together, end together and make as many runs as rank 0 wants.
Timing time_together(Communicator& world, double seconds, const std::function<void()>& work) {
  work();
  std::vector<double> times;
  const Clock::time_point begun = Clock::now();
  for (bool again = true; again;) {
    world.barrier();
    const Clock::time_point start = Clock::now();
    work();
    world.barrier();
    times.push_back(seconds_since(start));
    const auto runs = static_cast<int>(times.size());
    std::byte more{runs < kLeastRuns || (runs < kMostRuns && seconds_since(begun) < seconds)};
    world.broadcast({&more, 1}, 0);
    again = more != std::byte{0};
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), static_cast<int>(times.size())};
}

BenchRow bench_one(const Platform& platform, const BenchOptions& options, const Mesh& mesh,
                   DType dtype, const std::vector<std::int64_t>& s) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const Lane lane = {device, *stream, workspace, mesh};
  const Causal causal = options.causal ? Causal::TopLeft : Causal::No;
  const AttentionSelection selection = {.order = platform.attention(),
                                        .ring_default = platform.default_ring_attention_backend(),
                                        .backend = options.backend,
                                        .component = "bench",
                                        .ring = mesh.plan().ring > 1};
  const AttentionChoice choice = selection.choose(
      "ring",
      {.heads = s[1], .kv_heads = s[1], .head_dim = s[4], .dtype = dtype, .causal = causal});
  check_ulysses("the shape", s[1], mesh.plan().ulysses);

  const Sequence keys = {.segments = {{.rows = s[3]}},
                         .deal = options.causal ? Deal::ZigZag : Deal::Runs};
  const Sequence queries = {.segments = {{.rows = s[2]}}, .deal = keys.deal};
  const int ranks = mesh.sequence().size(), me = mesh.sequence().rank();
  const auto rows = [&](const Sequence& sequence) { return rows_of(runs_of(sequence, ranks, me)); };
  const auto seed = static_cast<std::uint32_t>(3 * me);
  const Tensor q = random_tensor(*stream, {s[0], rows(queries), s[1], s[4]}, dtype, seed + 1),
               k = random_tensor(*stream, {s[0], rows(keys), s[1], s[4]}, dtype, seed + 2),
               v = random_tensor(*stream, {s[0], rows(keys), s[1], s[4]}, dtype, seed + 3);
  const std::uint64_t sent_before = mesh.world().bytes_sent();
  const Timing timing = time_together(mesh.world(), options.seconds, [&] {
    attend(lane, choice,
           {.q = q, .k = k, .v = v, .causal = causal, .sequence = &keys, .queries = &queries});
    device.synchronize(*stream, 600000);
  });
  const double sent = static_cast<double>(mesh.world().bytes_sent() - sent_before) /
                      static_cast<double>(timing.runs + 1);
  std::ostringstream shape;
  for (std::size_t i = 0; i < s.size(); ++i) shape << (i == 0 ? "" : ",") << s[i];
  const double flop = 4.0 * static_cast<double>(s[0] * s[1]) * static_cast<double>(s[2]) *
                      static_cast<double>(s[3]) * static_cast<double>(s[4]) *
                      (options.causal ? 0.5 : 1.0);
  return {text_of("ring ", mesh.plan().ring, " x ulysses ", mesh.plan().ulysses, " ",
                  choice.backend->name(), options.causal ? " causal" : ""),
          shape.str(),
          std::string(name_of(dtype)),
          timing,
          flop,
          sent};
}

}  // namespace

std::vector<BenchRow> bench_ring(const Platform& platform, const BenchOptions& options,
                                 Communicator& world, const ParallelPlan& plan) {
  std::vector<BenchRow> rows;
  const Mesh mesh(world, plan);
  const std::vector<std::vector<std::int64_t>> usual = {{1, 24, 4096, 4096, 128}};
  for (const std::vector<std::int64_t>& shape : options.shapes.empty() ? usual : options.shapes) {
    together(world, [&] {
      require(shape.size() == 5, ErrorCode::InvalidRequest,
              "--shape: wanted BATCH,HEADS,SEQ_Q,SEQ_KV,HEAD_DIM, found ", shape.size(),
              " numbers");
    });
    for (const DType dtype : options.dtypes)
      rows.push_back(bench_one(platform, options, mesh, dtype, shape));
  }
  return rows;
}

}  // namespace annulus::cli

#include <algorithm>
#include <mutex>

#include "apps/cli/bench.h"
#include "apps/cli/plan.h"

namespace annulus::cli {

namespace {

// Sizes at which rates no longer change much, and that take a fraction of a second.
constexpr std::int64_t kMostRows = 2048, kMostHidden = 4096, kLeastRows = 16;
constexpr std::int64_t kCopied = std::int64_t{32} << 20;

double attention_rate(const Platform& platform, const PlannedWork& planned, int ranks,
                      double seconds) {
  const AttentionBackend* backend = platform.default_ring_attention_backend();
  require(backend != nullptr, ErrorCode::Unsupported, "plan: wanted a platform with a ring",
          " attention backend, found ", platform.name());
  const Workload& work = planned.work;
  const auto rows = [ranks](const Sequence& sequence) {
    return std::clamp(sequence.rows() / ranks, kLeastRows, kMostRows);
  };
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const std::int64_t q_rows = rows(work.q_sequence()), k_rows = rows(work.keys);
  const auto make = [&](std::int64_t count, std::int64_t heads, std::uint32_t seed) {
    return random_tensor(*stream, {1, count, heads, work.head_dim}, planned.dtype, seed);
  };
  const Tensor q = make(q_rows, work.heads, 1), k = make(k_rows, work.kv_heads, 2),
               v = make(k_rows, work.kv_heads, 3);
  RunningAttention total = nothing_seen(*stream, 1, q_rows, work.heads, work.head_dim);
  const AttentionArgs args = {.q = q, .k = k, .v = v};
  const Timing timing = time_runs(seconds, [&] {
    backend->fold(*stream, workspace, args, total);
    device.synchronize(*stream, 600000);
  });
  return 4.0 * static_cast<double>(q_rows) * static_cast<double>(k_rows) *
         static_cast<double>(work.heads * work.head_dim) / timing.median;
}

double linear_rate(const Platform& platform, const PlannedWork& planned, int ranks,
                   double seconds) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const std::int64_t hidden = std::min(planned.work.heads * planned.work.head_dim, kMostHidden);
  const std::int64_t rows =
      std::clamp(planned.work.q_sequence().rows() / ranks, kLeastRows, kMostRows);
  const Tensor x = random_tensor(*stream, {rows, hidden}, planned.dtype, 1),
               weight = random_tensor(*stream, {hidden, hidden}, planned.dtype, 2);
  Tensor out = Tensor::empty({rows, hidden}, planned.dtype, device);
  const Timing timing = time_runs(seconds, [&] {
    platform.ops().linear(
        *stream, workspace,
        {.x = x, .weight = weight, .bias = nullptr, .activation = Activation::None, .out = out});
    device.synchronize(*stream, 600000);
  });
  return 2.0 * static_cast<double>(rows * hidden) * static_cast<double>(hidden) / timing.median;
}

double copy_rate(const Platform& platform, double seconds) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  const Tensor from = Tensor::empty({kCopied}, DType::U8, device);
  Tensor to = Tensor::empty({kCopied}, DType::U8, device);
  device.fill(*stream, to, 1);
  Tensor written = from;
  device.fill(*stream, written, 2);
  const Timing timing = time_runs(seconds, [&] {
    device.copy(*stream, from, to);
    device.synchronize(*stream, 600000);
  });
  return 2.0 * static_cast<double>(kCopied) / timing.median;
}

}  // namespace

ComputeRates measure_compute(const PlanOptions& options, int threads, int together,
                             const PlannedWork& planned, int ranks) {
  std::mutex mutex;
  ComputeRates least;
  // Ranks of a host share its memory and its clock: a rate is what is left beside the others.
  run_local_ranks(together, {}, [&](Communicator& host) {
    const std::unique_ptr<Platform> platform =
        make_platform(options.platform, {.threads = threads});
    ComputeRates mine;
    host.barrier();
    mine.attention = attention_rate(*platform, planned, ranks, options.seconds);
    host.barrier();
    mine.linear = linear_rate(*platform, planned, ranks, options.seconds);
    host.barrier();
    mine.copy = copy_rate(*platform, options.seconds);
    const std::lock_guard lock(mutex);
    const bool first = least.attention == 0;
    for (double ComputeRates::*rate :
         {&ComputeRates::attention, &ComputeRates::linear, &ComputeRates::copy})
      least.*rate = first ? mine.*rate : std::min(least.*rate, mine.*rate);
  });
  return least;
}

}  // namespace annulus::cli

// Parts of `annulus bench`: each measures one thing and returns rows; bench.cc reads the options
// and prints.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/timing.h"
#include "comm/communicator.h"
#include "parallel/plan.h"
#include "platform/platform.h"

namespace annulus::cli {

struct BenchOptions {
  std::vector<std::vector<std::int64_t>> shapes;  // empty: those of the documentation
  std::vector<DType> dtypes;  // empty: f32, and bf16 where the platform computes in it
  std::string backend;        // of attention; empty: all that serve
  bool causal = false;
  int threads = 0;
  double seconds = 1;  // per row
  PlanRequest plan;    // of ring
  bool shared_memory = true;
};

struct BenchRow {
  std::string what, shape, dtype;
  Timing timing;
  double flop = 0, bytes = 0;  // of one run
};

std::vector<BenchRow> bench_attention(const Platform& platform, const BenchOptions& options);
std::vector<BenchRow> bench_linear(const Platform& platform, const BenchOptions& options);
std::vector<BenchRow> bench_block(const Platform& platform, const BenchOptions& options);

/// attend() over the ranks of `world`; collective, the same rows on each. Bytes are those that this
/// rank sends in messages; in place, only signals.
std::vector<BenchRow> bench_ring(const Platform& platform, const BenchOptions& options,
                                 Communicator& world, const ParallelPlan& plan);

/// Values that no arithmetic overflows on: a fixed sequence in [-1, 1).
Tensor random_tensor(Stream& stream, const Shape& shape, DType dtype, std::uint32_t seed);

}  // namespace annulus::cli

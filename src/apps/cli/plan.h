// Parts of `annulus plan`: what is to be computed, on what, what was measured, and what is shown.
// The reckoning itself is parallel/cost.h and parallel/simulate.h. Start with plan_command.cc.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "parallel/cost.h"
#include "parallel/simulate.h"
#include "platform/platform.h"

namespace annulus::cli {

/// Most ranks that are planned for.
inline constexpr int kMostRanks = 4096;

struct PlanOptions {
  // the work: a model's ...
  std::filesystem::path model;  // empty: the storybook model, unless `tokens` is given
  std::optional<std::int64_t> width, height;
  std::optional<int> steps;
  std::optional<double> true_cfg_scale;
  // ... or any attention
  std::optional<std::int64_t> tokens, text_tokens, queries, heads, kv_heads, head_dim;
  std::optional<int> layers;
  std::int64_t batch = 1;
  bool causal = false;

  // where
  std::optional<int> ranks;
  std::string platform;
  std::optional<DType> dtype;
  int threads = 0;  // per rank; 0: the cores of this machine by the ranks on it
  bool no_shared_memory = false;
  std::filesystem::path cluster;
  std::optional<int> hosts, ranks_per_host;
  std::vector<Straggler> slow;
  // rates, in base units; absent: measured
  std::optional<double> attention_rate, linear_rate, copy_rate, bandwidth, latency, host_bandwidth,
      host_latency;
  double seconds = 0.2;  // to measure each rate

  bool simulate = false, links = false;
  std::filesystem::path plot, json;
};

/// Reads arguments; nothing when help was shown.
std::optional<PlanOptions> read_plan_options(const std::vector<std::string>& arguments);

/// What is computed, and how it is called.
struct PlannedWork {
  Workload work;
  DType dtype = DType::F32;
  std::string title;  // "QwenImagePipeline, 1024x1024 pixels: 4096 + 128 tokens, ..."
};

/// Throws InvalidRequest for contradicting options, Unsupported for a model of another family.
PlannedWork planned_work(const PlanOptions& options, const Platform& platform);

/// A cluster in a file: {"hosts", "ranks_per_host", "in_place", "inside": {"latency_seconds",
/// "bytes_per_second", "busy"}, "between": ..., "attention_flop_per_second",
/// "linear_flop_per_second", "copy_bytes_per_second", "stragglers": [{"rank", "slowdown"}]}; each
/// may be absent.
struct ClusterFile {
  std::optional<int> hosts, ranks_per_host;
  std::optional<bool> in_place;
  std::optional<Link> inside, between;
  std::optional<double> attention_rate, linear_rate, copy_rate;
  std::vector<Straggler> stragglers;
};

/// Throws InvalidRequest naming key and file: an unknown key, a value out of range.
ClusterFile read_cluster(const std::filesystem::path& file);
ClusterFile parse_cluster(const Json& json);
Json cluster_json(const Cluster& cluster);

/// Rates of one rank of this machine, the slowest of those that were measured at the same time.
struct ComputeRates {
  double attention = 0, linear = 0, copy = 0;  // flop/s, flop/s, bytes/s
};

///   threads   of a rank
///   together  ranks that compute at the same time
///   ranks     that share the work: the size of a shard
ComputeRates measure_compute(const PlanOptions& options, int threads, int together,
                             const PlannedWork& planned, int ranks);

/// Ways between ranks, as far as there are such ranks.
struct MeasuredLinks {
  std::optional<Link> inside, between;
  std::string how;  // "over MPI", "between threads: no mpirun here"
};

/// Between rank 0 and the first other rank of its host and of another host. Collective.
MeasuredLinks measure_links(Communicator& world, const Platform& platform, double seconds);

/// The same of two ranks that this function starts: processes by mpirun, else threads.
MeasuredLinks measure_links_here(const PlanOptions& options);

Json links_json(const MeasuredLinks& links);

/// A plan in the table: by the model and, where it was played, by simulation.
struct PlanRow {
  PlanCost cost;
  std::optional<Simulated> played;
  double seconds() const noexcept { return played ? played->seconds : cost.seconds; }
};

/// The time of a step against the number of ranks, for the plot.
struct ScalingPoint {
  int ranks = 1;
  PlanRow best;
  std::optional<double> ring_seconds, ulysses_seconds;  // of ring alone, of Ulysses alone
};

std::vector<PlanRow> plan_rows(const Workload& work, const Cluster& cluster, int ranks,
                               bool simulated);
std::vector<ScalingPoint> scaling(const Workload& work, const Cluster& cluster, int ranks,
                                  bool simulated);

/// A picture of `points` as SVG.
std::string scaling_svg(const std::string& title, const std::vector<ScalingPoint>& points);

}  // namespace annulus::cli

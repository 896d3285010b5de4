// What a plan costs before anyone runs it: seconds, bytes and memory, from the sizes of the work
// and a few rates. The formulas follow what ring.cc and ulysses.cc do, message by message; rates
// are numbers that somebody measured (`annulus plan` does). Here everything is in step, the largest
// shard decides; simulate.h plays the hops one by one, with uneven shards and slow ranks. Start
// with plan_cost().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attention/spec.h"
#include "parallel/sequence.h"

namespace annulus {

/// The way of messages between two ranks.
struct Link {
  double latency_seconds = 0;
  double bytes_per_second = 1e9;
  double busy = 0;  // share of a message's time in which a core of its rank works on it: 0 to 1
};

/// A rank that computes slower than the others.
struct Straggler {
  int rank = 0;
  double slowdown = 1;  // its operations take so many times as long
};

/// Where ranks live and how fast they are. Rank r is on host r / ranks_per_host.
struct Cluster {
  int hosts = 1, ranks_per_host = 1;
  Link inside;           // a host; every rank has its own way
  Link between;          // hosts; the ranks of a host share one way out and one way in
  bool in_place = true;  // ranks of a host read each other's K/V where it lies; else by messages
  double attention_flop_per_second = 1e11, linear_flop_per_second = 1e11;  // of one rank
  double copy_bytes_per_second = 1e10;  // of one rank that packs what it sends
  std::vector<Straggler> stragglers = {};

  int ranks() const noexcept { return hosts * ranks_per_host; }
  int host_of(int rank) const noexcept { return rank / ranks_per_host; }
};

/// What a run does: `steps` times, for each of `branches`, `layers` layers of attention over one
/// sequence, with linear layers around it.
struct Workload {
  std::int64_t batch = 1, heads = 1, kv_heads = 1, head_dim = 128;
  std::size_t unit = 2;  // bytes of an element of q, k and v
  Sequence keys;
  std::optional<Sequence> queries = {};  // absent: the keys'
  Causal causal = Causal::No;            // positions of queries and keys count from the same row
  int layers = 1, steps = 1;
  int branches = 1;       // 2: guidance
  double row_flop = 0;    // of a layer, for a row of the queries, beside attention
  double layer_flop = 0;  // of a layer, on every rank, whatever its rows
  // Memory for a row of the queries: beside attention during it, and at the worst moment elsewhere.
  double row_bytes = 0, row_bytes_elsewhere = 0;
  double row_result = 0;    // bytes of a row of the last layer's result, which branches exchange
  double weight_bytes = 0;  // mapped once per host

  const Sequence& q_sequence() const noexcept { return queries ? *queries : keys; }
};

/// Of one step unless said otherwise, on the rank that has most of it.
struct PlanCost {
  ParallelPlan plan;
  double seconds = 0;          // compute_seconds + exposed_seconds
  double compute_seconds = 0;  // arithmetic, and copies in its own memory
  double exposed_seconds = 0;  // waiting for others' bytes
  double hidden_seconds = 0;   // bytes that travelled during arithmetic
  double sent_bytes = 0;       // by messages
  double read_bytes = 0;       // in place from another rank's memory
  double kv_bytes = 0;         // memory for K and V on their way: two shards
  double attention_bytes = 0;  // memory of a call of attend(), q, k and v included
  double rank_bytes = 0;       // all activations, at the worst moment
  double run_seconds = 0;      // all steps
  bool by_queries = false;     // queries travel round the ring, not K and V
};

/// Throws InvalidRequest naming what is wrong: a plan with more ranks than the cluster, heads that
/// its Ulysses degree does not divide, more cfg ranks than branches, rates that are not positive.
PlanCost plan_cost(const Workload& work, const Cluster& cluster, const ParallelPlan& plan);

/// Every plan of `ranks` ranks that can run the work, Ulysses degrees rising.
std::vector<ParallelPlan> possible_plans(const Workload& work, int ranks);

/// The costs of possible_plans(), the best first: the fastest; within a thousandth of it the one
/// that needs least memory, then the one with fewest groups.
std::vector<PlanCost> compare_plans(const Workload& work, const Cluster& cluster, int ranks);

/// Puts the best first, as compare_plans.
void sort_by_cost(std::vector<PlanCost>& costs);

/// In a sentence, why the first of `costs` and not another.
std::string reason_for(const std::vector<PlanCost>& costs);

}  // namespace annulus

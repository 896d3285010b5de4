#include "parallel/work_shares.h"

#include <algorithm>

#include "base/error.h"
#include "parallel/ring.h"

namespace annulus {

namespace {

constexpr double kF32 = 4;
constexpr std::int64_t kMostRows = std::int64_t{1} << 30, kMostChannels = std::int64_t{1} << 24;

double as_double(std::int64_t count) noexcept {
  return static_cast<double>(count);
}

// Sum of min(max(value, 0), most) over value = ..., last - 1, last.
double clamped_sum(double last, double most) noexcept {
  if (last <= 0) return 0;
  const double rising = std::min(last, most);
  return rising * (rising + 1) / 2 + (last - rising) * most;
}

// Pairs of a query and a key that it sees, between two runs: query position + offset >= key's.
double causal_pairs(const RowRun& q, const RowRun& k, std::int64_t offset) noexcept {
  const double first = as_double(q.position + offset - k.position + 1);
  const double most = as_double(k.rows);
  return clamped_sum(first + as_double(q.rows) - 1, most) - clamped_sum(first - 1, most);
}

void check_work(const Workload& work, const ParallelPlan& plan) {
  const auto positive = [](double value, std::string_view what) {
    require(value > 0, ErrorCode::InvalidRequest, "cost: wanted a positive ", what, ", found ",
            value);
  };
  positive(static_cast<double>(work.batch), "batch");
  positive(static_cast<double>(work.heads), "number of heads");
  positive(static_cast<double>(work.kv_heads), "number of kv heads");
  positive(static_cast<double>(work.head_dim), "head_dim");
  positive(work.layers, "number of layers");
  positive(work.steps, "number of steps");
  // So that no product of sizes overflows.
  require(work.keys.rows() <= kMostRows && work.q_sequence().rows() <= kMostRows &&
              work.heads <= kMostChannels && work.kv_heads <= work.heads &&
              work.head_dim <= kMostChannels / work.heads && work.batch <= kMostChannels,
          ErrorCode::InvalidRequest, "cost: wanted at most ", kMostRows, " rows and ",
          kMostChannels, " channels in all heads, no more kv heads than heads, found ",
          work.keys.rows(), " rows, ", work.heads, " heads (", work.kv_heads, " kv) x ",
          work.head_dim);
  require(work.branches == 1 || work.branches == 2, ErrorCode::InvalidRequest,
          "cost: wanted 1 or 2 branches, found ", work.branches);
  require(plan.cfg >= 1 && plan.ring >= 1 && plan.ulysses >= 1 && plan.cfg <= work.branches,
          ErrorCode::InvalidRequest, "parallel plan: wanted degrees of at least 1 and at most ",
          work.branches, " for cfg, found ", to_string(plan));
  check_ulysses("attention", work.heads, plan.ulysses);
}

}  // namespace

void check_cluster(const Cluster& cluster, const ParallelPlan& plan) {
  require(cluster.hosts >= 1 && cluster.ranks_per_host >= 1 && plan.ranks() <= cluster.ranks(),
          ErrorCode::InvalidRequest, "cluster: wanted room for ", plan.ranks(), " ranks, found ",
          cluster.hosts, " hosts x ", cluster.ranks_per_host);
  const auto rate = [](double value, std::string_view what) {
    require(value > 0, ErrorCode::InvalidRequest, "cluster: wanted a positive ", what, ", found ",
            value);
  };
  rate(cluster.attention_flop_per_second, "attention rate");
  rate(cluster.linear_flop_per_second, "rate of linear layers");
  rate(cluster.copy_bytes_per_second, "rate of copies");
  for (const auto& [link, name] :
       {std::pair{&cluster.inside, "inside"}, {&cluster.between, "between"}}) {
    rate(link->bytes_per_second, text_of("bandwidth ", name, " hosts"));
    require(link->latency_seconds >= 0 && link->busy >= 0 && link->busy <= 1,
            ErrorCode::InvalidRequest, "cluster: wanted a latency of at least 0 and a share from 0",
            " to 1 for the link ", name, " hosts, found ", link->latency_seconds, " and ",
            link->busy);
  }
  for (const Straggler& slow : cluster.stragglers)
    require(slow.rank >= 0 && slow.rank < cluster.ranks() && slow.slowdown > 0,
            ErrorCode::InvalidRequest, "cluster: wanted a straggler's rank below ", cluster.ranks(),
            " and a positive slowdown, found rank ", slow.rank, ", ", slow.slowdown);
}

WorkShares::WorkShares(const Workload& work, const ParallelPlan& plan) : work_(work), plan_(plan) {
  check_work(work, plan);
  heads_ = as_double(work.heads) / plan.ulysses;
  kv_heads_ = as_double(plan.ulysses == 1 ? work.kv_heads
                                          : replicated_kv_heads(work.kv_heads, plan.ulysses)) /
              plan.ulysses;
  const auto rows = [](const Sequence& sequence, const std::vector<RowRun>& runs) {
    return Rows{rows_of(runs), rows_of(dealt(sequence, runs))};
  };
  const int ranks = plan.ring * plan.ulysses;
  const Sequence &q = work.q_sequence(), &k = work.keys;
  for (int rank = 0; rank < ranks; ++rank) {
    ranks_q_.push_back(rows(q, runs_of(q, ranks, rank)));
    ranks_k_.push_back(rows(k, runs_of(k, ranks, rank)));
  }
  for (int position = 0; position < plan.ring; ++position) {
    runs_q_.push_back(group_runs(q, plan.ring, plan.ulysses, position));
    runs_k_.push_back(group_runs(k, plan.ring, plan.ulysses, position));
    groups_q_.push_back(rows(q, runs_q_.back()));
    groups_k_.push_back(rows(k, runs_k_.back()));
  }
  by_queries_ = plan.ring > 1 &&
                queries_move_less(q, k, static_cast<std::int64_t>(heads_),
                                  static_cast<std::int64_t>(kv_heads_), work.head_dim, work.unit);
}

double WorkShares::message_bytes(int owner) const noexcept {
  const double row = as_double(work_.batch * work_.head_dim) * static_cast<double>(work_.unit);
  return by_queries_ ? as_double(group_q(owner).all) * heads_ * row
                     : 2 * as_double(group_k(owner).dealt) * kv_heads_ * row;
}

double WorkShares::part_bytes(int owner) const noexcept {
  if (!by_queries_) return 0;
  return as_double(work_.batch * group_q(owner).all) * heads_ * as_double(work_.head_dim + 1) *
         kF32;
}

double WorkShares::pairs(int q_position, int k_position, bool dealt_only) const noexcept {
  if (work_.causal == Causal::No)
    return as_double(group_q(q_position).all) *
           as_double(dealt_only ? group_k(k_position).dealt : group_k(k_position).all);
  const std::int64_t offset =
      work_.causal == Causal::BottomRight ? work_.keys.rows() - work_.q_sequence().rows() : 0;
  double sum = 0;
  for (const RowRun& q : runs_q_[static_cast<std::size_t>(q_position)])
    for (const RowRun& k : runs_k_[static_cast<std::size_t>(k_position)])
      if (!dealt_only || !work_.keys.segments[k.segment].replicated)
        sum += causal_pairs(q, k, offset);
  return sum;
}

double WorkShares::hop_flop(int position, int owner) const noexcept {
  const double seen = by_queries_ ? pairs(owner, position, owner != position)
                                  : pairs(position, owner, owner != position);
  return 4 * as_double(work_.batch * work_.head_dim) * heads_ * seen;
}

double WorkShares::rank_rows(int rank) const noexcept {
  return as_double(rank_q(rank).all);
}

double WorkShares::to_heads_bytes(int rank) const noexcept {
  if (plan_.ulysses == 1) return 0;
  return as_double(work_.batch * work_.head_dim) * static_cast<double>(work_.unit) *
         (as_double(rank_q(rank).dealt) * heads_ + 2 * as_double(rank_k(rank).dealt) * kv_heads_);
}

double WorkShares::to_rows_bytes(int rank) const noexcept {
  if (plan_.ulysses == 1) return 0;
  return as_double(work_.batch * work_.head_dim) * static_cast<double>(work_.unit) *
         as_double(rank_q(rank).all) * heads_;
}

double WorkShares::copied_bytes(int rank) const noexcept {
  const int others = plan_.ulysses - 1, position = rank / plan_.ulysses;
  double packed = plan_.ring > 1 ? message_bytes(position) : 0;  // to where others read
  if (others > 0)  // packed and unpacked on both ways, its own part moved once
    packed += (2 * others + 1) * (to_heads_bytes(rank) + to_rows_bytes(rank));
  double running = 0;  // the unfinished result: begun, and made out of it at the end
  if (plan_.ring > 1)
    running = as_double(work_.batch * group_q(position).all * work_.head_dim) * heads_ *
              (2 * kF32 + static_cast<double>(work_.unit));
  return 2 * packed + running;
}

double WorkShares::kv_memory() const noexcept {
  double largest = 0;
  if (plan_.ring > 1)
    for (int owner = 0; owner < plan_.ring; ++owner)
      largest = std::max(largest, message_bytes(owner));
  return 2 * largest;
}

// What attend() holds at its worst moment, from the order in which attend.cc, ulysses.cc and
// ring.cc make and drop their tensors.
double WorkShares::attention_memory() const noexcept {
  const double row = as_double(work_.batch * work_.head_dim) * static_cast<double>(work_.unit);
  const double wide_row = as_double(work_.batch) * heads_ * kF32;
  double worst = 0;
  for (int rank = 0; rank < plan_.ring * plan_.ulysses; ++rank) {
    const int position = rank / plan_.ulysses, others = plan_.ulysses - 1;
    const auto q = as_double(rank_q(rank).all), k = as_double(rank_k(rank).all),
               group_rows = as_double(group_q(position).all),
               group_keys = as_double(group_k(position).all);
    const double given = row * (q * as_double(work_.heads) + 2 * k * as_double(work_.kv_heads));
    const double group_out = row * group_rows * heads_;
    double ring = group_out;
    if (plan_.ring > 1) {
      const double running = group_rows * wide_row * as_double(work_.head_dim + 2);
      ring += kv_memory() + running;
      if (by_queries_) {
        double parts = (plan_.ring - 1) * part_bytes(position);
        for (int owner = 0; owner < plan_.ring; ++owner)
          if (owner != position) parts += part_bytes(owner);
        ring += parts + part_bytes(position);
        if (group_k(position).dealt != group_k(position).all)  // keys without the replicated ones
          ring += 2 * as_double(group_k(position).dealt) * kv_heads_ * row;
      }
    }
    if (others == 0) {
      worst = std::max(worst, given + ring);
      continue;
    }
    const double by_heads = row * (group_rows * heads_ + 2 * group_keys * kv_heads_);
    double arriving = others * to_heads_bytes(rank), returning = others * to_rows_bytes(rank);
    for (int member = 0; member < plan_.ulysses; ++member) {
      const int other = position * plan_.ulysses + member;
      if (other == rank) continue;
      arriving += to_heads_bytes(other);
      returning += to_rows_bytes(other);
    }
    const double result = row * q * as_double(work_.heads);
    worst = std::max({worst, given + by_heads + arriving, given + by_heads + ring,
                      given + by_heads + group_out + returning + result});
  }
  return worst;
}

}  // namespace annulus

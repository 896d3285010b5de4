// attend() over a slow link: the same bits, and as much waiting as the cost model says. Time is
// virtual, so nothing here depends on how busy this machine is.
#include "comm/shaped.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "parallel/attend_laws.h"
#include "parallel/cost.h"
#include "parallel/simulate.h"

namespace annulus {
namespace {

constexpr LinkShape kGigabit{.latency_seconds = 5e-3, .bytes_per_second = 125e6};

/// A backend whose arithmetic takes as long as it would at a given rate, by its rank's clock.
class Clocked final : public AttentionBackend {
 public:
  Clocked(VirtualClock& clock, double flop_per_second)
      : clock_(clock), flop_per_second_(flop_per_second) {}
  std::string_view name() const noexcept override { return "clocked"; }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override {
    return inner_.refusal(spec);
  }
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    work(args);
    inner_.run(stream, workspace, args, out, lse);
  }
  void fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
            RunningAttention& running) const override {
    work(args);
    inner_.fold(stream, workspace, args, running);
  }

 private:
  void work(const AttentionArgs& args) const {
    const Shape& q = args.q.shape();
    clock_.work(4.0 * static_cast<double>(q.elements()) * static_cast<double>(args.k.shape()[1]) /
                flop_per_second_);
  }
  VirtualClock& clock_;
  double flop_per_second_;
  const AttentionBackend& inner_ = flash_attention(chosen_isa());
};

struct Shaped {
  Workload work;
  ParallelPlan plan;
  double flop_per_second = 1e9;
};

Cluster cluster_of(const Shaped& shaped, const LinkShape& link) {
  return {.hosts = shaped.plan.ranks(),
          .ranks_per_host = 1,
          .between = {.latency_seconds = link.latency_seconds,
                      .bytes_per_second = link.bytes_per_second},
          .attention_flop_per_second = shaped.flop_per_second,
          .copy_bytes_per_second = 1e30};
}

struct Outcome {
  std::map<int, std::vector<std::byte>> parts;  // of the result, by rank
  double waited = 0, seconds = 0;               // of the rank with most
};

Outcome run_shaped(const Shaped& shaped, const LinkShape& link, int layers) {
  std::vector<std::shared_ptr<VirtualClock>> own;
  std::vector<std::shared_ptr<LinkClock>> clocks;
  for (int rank = 0; rank < shaped.plan.ranks(); ++rank) {
    own.push_back(std::make_shared<VirtualClock>());
    clocks.push_back(own.back());
  }
  const Workload& work = shaped.work;
  const AttendCase c{.batch = work.batch,
                     .heads = work.heads,
                     .kv_heads = work.kv_heads,
                     .head_dim = work.head_dim,
                     .keys = work.keys,
                     .queries = work.queries};
  std::mutex mutex;
  Outcome outcome;
  run_ranks(make_shaped_local_ranks(link, clocks, {.shared_memory = false, .deadline_ms = 60000}),
            [&](Communicator& world) {
              VirtualClock& clock = *own[static_cast<std::size_t>(world.rank())];
              LawRank rank(world, shaped.plan);
              const WholeCase whole(rank, c);
              const Clocked backend(clock, shaped.flop_per_second);
              world.barrier();  // all begin together ...
              const double waited = clock.waited(), start = clock.now();
              Tensor part;
              for (int layer = 0; layer < layers; ++layer)
                part = attend_ranks(rank, c, whole, backend);
              const std::lock_guard lock(mutex);
              const std::byte* data = part.address();
              outcome.parts[world.rank()] = {data, data + part.bytes()};
              outcome.waited = std::max(outcome.waited, clock.waited() - waited);
              outcome.seconds = std::max(outcome.seconds, clock.now() - start);
            });
  return outcome;
}

// At 1 Gbit/s a shard of K and V takes milliseconds.
std::vector<Shaped> cases() {
  const Workload even{.batch = 1,
                      .heads = 4,
                      .kv_heads = 4,
                      .head_dim = 32,
                      .unit = 4,
                      .keys = {.segments = {{.rows = 576}, {.rows = 48}}}};
  Workload grouped = even;
  grouped.kv_heads = 2;
  Workload few = even;
  few.queries = Sequence{.segments = {{.rows = 24}}};
  std::vector<Shaped> made;
  for (const double rate :
       {3e8, 2e9, 1e11}) {  // arithmetic covers messages, about equals, does not
    for (const int ring : {2, 4}) {
      made.push_back({even, {.ring = ring}, rate});
      made.push_back({grouped, {.ring = ring}, rate});
      made.push_back({few, {.ring = ring}, rate});
    }
    for (const auto& [ring, ulysses] : {std::pair{1, 2}, {1, 4}, {2, 2}, {3, 2}, {2, 4}})
      made.push_back({even, {.ulysses = ulysses, .ring = ring}, rate});
  }
  return made;
}

TEST(Shaped, AGigabitLinkGivesTheSameBits) {
  for (const Shaped& shaped : cases()) {
    if (shaped.flop_per_second != 1e11) continue;
    const Outcome slow = run_shaped(shaped, kGigabit, 1),
                  fast = run_shaped(shaped, {.bytes_per_second = 1e30}, 1);
    EXPECT_LT(fast.waited, 1e-12);
    EXPECT_GT(slow.waited, 5e-3);
    EXPECT_EQ(slow.parts, fast.parts) << to_string(shaped.plan);
  }
}

TEST(Shaped, WaitingIsThatOfTheModelWithinAFifth) {
  constexpr int kLayers = 3;
  for (const Shaped& shaped : cases()) {
    const Outcome outcome = run_shaped(shaped, kGigabit, kLayers);
    Workload work = shaped.work;
    work.layers = kLayers;
    const PlanCost model = plan_cost(work, cluster_of(shaped, kGigabit), shaped.plan);
    const Simulated played = simulate(work, cluster_of(shaped, kGigabit), shaped.plan);
    // Of a wait that is a thousandth of the run, nobody expects a fifth.
    const double least = 1e-3 * outcome.seconds;
    EXPECT_NEAR(outcome.waited, model.exposed_seconds, 0.2 * outcome.waited + least)
        << to_string(shaped.plan) << ", " << shaped.flop_per_second << " flop/s";
    EXPECT_NEAR(outcome.seconds, model.seconds, 0.05 * outcome.seconds) << to_string(shaped.plan);
    EXPECT_NEAR(outcome.seconds, played.seconds, 0.05 * outcome.seconds) << to_string(shaped.plan);
  }
}

TEST(Shaped, AMessageTakesLatencyAndItsBytes) {
  std::vector<std::shared_ptr<LinkClock>> clocks = {std::make_shared<VirtualClock>(),
                                                    std::make_shared<VirtualClock>()};
  run_ranks(make_shaped_local_ranks({.latency_seconds = 0.5, .bytes_per_second = 100}, clocks,
                                    {.shared_memory = false, .deadline_ms = 60000}),
            [&](Communicator& world) {
              HostDevice device(1);
              const auto stream = device.make_stream();
              const int other = 1 - world.rank();
              Tensor out = Tensor::empty({200}, DType::U8, device),
                     in = Tensor::empty({200}, DType::U8, device);
              device.fill(*stream, out, world.rank() + 3);
              world.exchange(*stream, out, other, in, other)->wait();
              EXPECT_EQ(in.data<std::uint8_t>()[199], other + 3);
              const LinkClock& clock = *clocks[static_cast<std::size_t>(world.rank())];
              EXPECT_DOUBLE_EQ(clock.now(), 2.5);
            });
}

}  // namespace
}  // namespace annulus

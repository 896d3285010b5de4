#include "parallel/simulate.h"

#include <algorithm>
#include <queue>

#include "base/error.h"
#include "parallel/work_shares.h"

namespace annulus {

namespace {

constexpr std::int64_t kManyHops = std::int64_t{1} << 22;  // of a layer: then one is played only

// Ranks, clocks and ways of messages.
class Machine {
 public:
  Machine(const Cluster& cluster, int ranks)
      : cluster_(cluster),
        now_(static_cast<std::size_t>(ranks)),
        computed_(now_.size()),
        slowdown_(now_.size(), 1.0),
        way_out_(static_cast<std::size_t>(cluster.hosts)),
        way_in_(way_out_.size()) {
    for (int rank = 0; rank < ranks; ++rank) hosts_.push_back(cluster.host_of(rank));
    for (const Straggler& slow : cluster.stragglers)
      if (slow.rank < ranks) slowdown_[static_cast<std::size_t>(slow.rank)] = slow.slowdown;
  }

  double& now(int rank) { return now_[static_cast<std::size_t>(rank)]; }
  double slowdown(int rank) const { return slowdown_[static_cast<std::size_t>(rank)]; }
  void compute(int rank, double seconds) { now(rank) += computing(rank, seconds); }
  /// Counts arithmetic whose end the caller keeps.
  double computing(int rank, double seconds) {
    const double taken = seconds * slowdown(rank);
    computed_[static_cast<std::size_t>(rank)] += taken;
    return taken;
  }
  int host(int rank) const { return hosts_[static_cast<std::size_t>(rank)]; }
  bool same_host(int a, int b) const { return host(a) == host(b); }

  /// When a message that may begin at `start` has arrived.
  double send(int from, int to, double bytes, double start) {
    sent_ += bytes;
    if (same_host(from, to))
      return start + cluster_.inside.latency_seconds + bytes / cluster_.inside.bytes_per_second;
    const double takes = bytes / cluster_.between.bytes_per_second;
    double& out = way_out_[static_cast<std::size_t>(host(from))];
    double& in = way_in_[static_cast<std::size_t>(host(to))];
    const double begin = std::max({start, out, in});
    out = in = begin + takes;
    return out + cluster_.between.latency_seconds;
  }
  double busy(int from, int to, double bytes) const {
    const Link& link = same_host(from, to) ? cluster_.inside : cluster_.between;
    return link.busy * bytes / link.bytes_per_second;
  }

  double latest() const { return *std::max_element(now_.begin(), now_.end()); }
  double sent() const noexcept { return sent_; }
  const std::vector<double>& computed() const noexcept { return computed_; }
  const std::vector<double>& clocks() const noexcept { return now_; }
  const Cluster& cluster() const noexcept { return cluster_; }

 private:
  const Cluster& cluster_;
  std::vector<int> hosts_;
  std::vector<double> now_, computed_, slowdown_, way_out_, way_in_;
  double sent_ = 0;
};

// Each rank of a group sends bytes(from, to) to every other; all have them when the last is there.
// Messages of a rank to its own host go one by one, those that leave the host queue for its way.
template <class Bytes>
void exchange(Machine& machine, const std::vector<int>& ranks, const Bytes& bytes) {
  double start = 0, end = 0;
  for (const int rank : ranks) start = std::max(start, machine.now(rank));
  std::vector<double> own(ranks.size(), start);
  for (std::size_t step = 1; step < ranks.size(); ++step)  // each begins with another peer
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      const int from = ranks[i], to = ranks[(i + step) % ranks.size()];
      const double size = bytes(from, to);
      if (size == 0) continue;
      const bool inside = machine.same_host(from, to);
      const double arrival = machine.send(from, to, size, inside ? own[i] : start);
      if (inside)  // the latency of messages under way together counts once
        own[i] = arrival - machine.cluster().inside.latency_seconds;
      end = std::max(end, arrival);
    }
  for (const int rank : ranks) machine.now(rank) = std::max(end, machine.now(rank));
}

// The hops of all rings of a layer together, since they share the ways between hosts.
class Rings {
 public:
  Rings(Machine& machine, const ParallelPlan& plan, const WorkShares& shares)
      : machine_(machine), plan_(plan), shares_(shares), ranks_(plan.ranks()) {
    states_.resize(static_cast<std::size_t>(ranks_));
    readers_.resize(states_.size());
    for (int rank = 0; rank < ranks_; ++rank) positions_.push_back(rank / plan.ulysses % plan.ring);
    for (int owner = 0; owner < plan.ring; ++owner)
      message_bytes_.push_back(shares.message_bytes(owner));
  }

  std::uint64_t play() {
    for (int rank = 0; rank < ranks_; ++rank) push(rank, machine_.now(rank));
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      ++played_;
      start_hop(event.rank, event.seconds);
    }
    return played_;
  }

 private:
  struct Event {
    double seconds;
    int rank;
    bool operator>(const Event& other) const noexcept {
      return seconds != other.seconds ? seconds > other.seconds : rank > other.rank;
    }
  };
  struct State {
    int hop = -1;        // begun
    int missing = 0;     // of what the next hop needs
    double ready = 0;    // when all that is known of it is there
    double started = 0;  // the present hop
    bool published = false;
    double visible = 0;  // when the others know
  };

  int position(int rank) const noexcept { return positions_[static_cast<std::size_t>(rank)]; }
  // |step| < ring
  int neighbour(int rank, int step) const noexcept {
    const int to = position(rank) + step;
    if (to < 0) step += plan_.ring;
    if (to >= plan_.ring) step -= plan_.ring;
    return rank + step * plan_.ulysses;
  }
  int owner(int rank, int hop) const noexcept { return neighbour(rank, -hop); }
  State& state(int rank) { return states_[static_cast<std::size_t>(rank)]; }
  void push(int rank, double seconds) { events_.push({seconds, rank}); }

  bool reads_in_place(int rank, int owner) const {
    return machine_.cluster().in_place && machine_.same_host(rank, owner);
  }
  double bytes_of(int owner) const {
    return message_bytes_[static_cast<std::size_t>(position(owner))];
  }
  // Is there a message from `rank` to its next one during hop `hop`?
  bool hands_on(int rank, int hop) const {
    const int whose = owner(rank, hop);
    return bytes_of(whose) > 0 && !reads_in_place(neighbour(rank, 1), whose);
  }

  void start_hop(int rank, double seconds) {
    State& mine = state(rank);
    const int hop = ++mine.hop;
    mine.started = seconds;
    double busy = 0;
    if (hop + 1 < plan_.ring) {
      const int next = neighbour(rank, 1), previous = neighbour(rank, -1);
      if (hands_on(rank, hop)) busy = machine_.busy(rank, next, bytes_of(owner(rank, hop)));
      if (hands_on(previous, hop))
        busy = std::max(busy, machine_.busy(previous, rank, bytes_of(owner(rank, hop + 1))));
    }
    const double flop = shares_.hop_flop(position(rank), position(owner(rank, hop)));
    const double end =
        seconds + busy +
        machine_.computing(rank, flop / machine_.cluster().attention_flop_per_second);
    if (hop == 0) publish(rank, seconds);
    if (hop + 1 == plan_.ring) {
      machine_.now(rank) = end;
      return;
    }
    await_next(rank, end);
  }

  void publish(int rank, double seconds) {
    State& mine = state(rank);
    mine.published = true;
    mine.visible = seconds + machine_.cluster().inside.latency_seconds;
    for (const int reader : readers_[static_cast<std::size_t>(rank)]) arrive(reader, mine.visible);
    readers_[static_cast<std::size_t>(rank)].clear();
  }

  // What the hop after the present one needs: arithmetic done (`end`), the own shard taken by the
  // next rank, the coming shard here.
  void await_next(int rank, double end) {
    State& mine = state(rank);
    const int hop = mine.hop, next = neighbour(rank, 1), previous = neighbour(rank, -1);
    mine.ready = std::max(mine.ready, end);
    mine.missing += 1;  // taken back at the end, so that nothing starts before all is counted
    if (hands_on(rank, hop)) {
      ++mine.missing;
      if (state(next).hop >= hop) transfer(rank, next, hop);
    }
    const int coming = owner(rank, hop + 1);
    if (hands_on(previous, hop)) {
      ++mine.missing;
      if (state(previous).hop >= hop) transfer(previous, rank, hop);
    } else if (bytes_of(coming) > 0) {
      State& shows = state(coming);
      if (shows.published)
        mine.ready = std::max(mine.ready, shows.visible);
      else
        ++mine.missing, readers_[static_cast<std::size_t>(coming)].push_back(rank);
    }
    arrive(rank, end);
  }

  // Both ends of the message of hop `hop` have begun that hop.
  void transfer(int from, int to, int hop) {
    const double begin = std::max(state(from).started, state(to).started);
    const double arrival = machine_.send(from, to, bytes_of(owner(from, hop)), begin);
    arrive(from, arrival);
    arrive(to, arrival);
  }

  void arrive(int rank, double seconds) {
    State& mine = state(rank);
    mine.ready = std::max(mine.ready, seconds);
    if (--mine.missing == 0) push(rank, mine.ready);
  }

  Machine& machine_;
  const ParallelPlan& plan_;
  const WorkShares& shares_;
  int ranks_;
  std::vector<State> states_;
  std::vector<int> positions_;
  std::vector<std::vector<int>> readers_;  // ranks that wait for an owner to show its shard
  std::vector<double> message_bytes_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t played_ = 0;
};

class Player {
 public:
  Player(const Workload& work, const Cluster& cluster, const ParallelPlan& plan)
      : work_(work), plan_(plan), shares_(work, plan), machine_(cluster, plan.ranks()) {}

  void play_layer() {
    const int members = plan_.ring * plan_.ulysses;
    const Cluster& cluster = machine_.cluster();
    for (int rank = 0; rank < plan_.ranks(); ++rank) {
      const int place = rank % members;
      machine_.compute(
          rank, (static_cast<double>(work_.batch) * work_.row_flop * shares_.rank_rows(place) +
                 work_.layer_flop) /
                        cluster.linear_flop_per_second +
                    shares_.copied_bytes(place) / cluster.copy_bytes_per_second);
    }
    ulysses([&](int from, int) { return shares_.to_heads_bytes(from % members); });
    events_ += Rings(machine_, plan_, shares_).play();
    if (shares_.by_queries()) return_parts();
    ulysses([&](int, int to) { return shares_.to_rows_bytes(to % members); });
  }

  void exchange_branches() {
    const int members = plan_.ring * plan_.ulysses;
    for (int place = 0; plan_.cfg > 1 && place < members; ++place)
      exchange(machine_, {place, place + members}, [&](int, int) {
        return static_cast<double>(work_.batch) * work_.row_result * shares_.rank_rows(place);
      });
  }

  Machine& machine() noexcept { return machine_; }
  std::uint64_t events() const noexcept { return events_; }

 private:
  template <class Bytes>
  void ulysses(const Bytes& bytes) {
    for (int first = 0; plan_.ulysses > 1 && first < plan_.ranks(); first += plan_.ulysses) {
      std::vector<int> group;
      for (int member = 0; member < plan_.ulysses; ++member) group.push_back(first + member);
      exchange(machine_, group, bytes);
    }
  }

  void return_parts() {
    for (int cfg = 0; cfg < plan_.cfg; ++cfg)
      for (int member = 0; member < plan_.ulysses; ++member) {
        std::vector<int> ring;
        for (int position = 0; position < plan_.ring; ++position)
          ring.push_back(world_rank(plan_, cfg, position, member));
        exchange(machine_, ring,
                 [&](int, int to) { return shares_.part_bytes(to / plan_.ulysses % plan_.ring); });
        for (const int rank : ring)
          machine_.compute(rank, 3 * (plan_.ring - 1) *
                                     shares_.part_bytes(rank / plan_.ulysses % plan_.ring) /
                                     machine_.cluster().copy_bytes_per_second);
      }
  }

  const Workload& work_;
  ParallelPlan plan_;
  WorkShares shares_;
  Machine machine_;
  std::uint64_t events_ = 0;
};

}  // namespace

Simulated simulate(const Workload& work, const Cluster& cluster, const ParallelPlan& plan) {
  check_cluster(cluster, plan);
  Player player(work, cluster, plan);
  Machine& machine = player.machine();
  const int passes = work.layers * work.branches / plan.cfg;
  const std::int64_t hops = std::int64_t{plan.ranks()} * plan.ring;
  const int played = std::min(hops > kManyHops ? 1 : 2, passes);
  double before_last = 0, sent_before = 0;
  std::vector<double> clocks_before(machine.clocks().size()), computed_before = clocks_before;
  for (int layer = 0; layer < played; ++layer) {
    before_last = machine.latest();
    sent_before = machine.sent();
    clocks_before = machine.clocks();
    computed_before = machine.computed();
    player.play_layer();
  }
  // The layers that were not played take as long as the last one that was.
  const double more = passes - played;
  const double each = machine.latest() - before_last;
  Simulated result{.sent_bytes = more * (machine.sent() - sent_before), .events = player.events()};
  player.exchange_branches();
  result.sent_bytes += machine.sent();
  result.seconds = machine.latest() + more * each;
  double waiting = 0;
  for (std::size_t rank = 0; rank < clocks_before.size(); ++rank) {
    const double last = machine.computed()[rank] - computed_before[rank];
    const double computed = machine.computed()[rank] + more * last;
    const double waited = std::max(0.0, result.seconds - computed);
    result.compute_seconds = std::max(result.compute_seconds, computed);
    result.most_waiting_seconds = std::max(result.most_waiting_seconds, waited);
    waiting += waited;
  }
  result.waiting_seconds = waiting / static_cast<double>(clocks_before.size());
  return result;
}

}  // namespace annulus

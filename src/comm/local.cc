// Ranks as threads of one process. Messages are copied into the receiver's queue when they are
// sent; shards are read where they lie.
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <thread>
#include <tuple>

#include "base/error.h"
#include "comm/group.h"

namespace annulus {

namespace {

using Bytes = std::vector<std::byte>;

struct AlignedDelete {
  void operator()(std::byte* data) const noexcept {
    ::operator delete (data, std::align_val_t{64});
  }
};

// What ranks share; everything is guarded by `mutex`.
struct LocalWorld {
  struct Channel {  // one (sender, receiver, context)
    std::map<std::uint64_t, Bytes> sent;
    std::uint64_t next_sent = 0, next_received = 0;
  };
  struct Rank {
    PeerState state;
    std::optional<clockid_t> clock;          // of its thread
    std::uint64_t arrived = 0, noticed = 0;  // messages for it
    std::condition_variable arrival;
  };

  std::mutex mutex;
  std::deque<Rank> ranks;
  std::vector<int> hosts;
  CommOptions options;
  std::map<std::tuple<int, int, int>, Channel> channels;
  std::map<std::uint64_t, std::weak_ptr<const std::byte>> windows;
  std::uint64_t next_window = 0;
  std::optional<std::string> failure;
};

class Sent final : public Message {
 public:
  bool poll() override { return true; }
};

class Receiving final : public Message {
 public:
  Receiving(LocalWorld& world, std::tuple<int, int, int> channel, std::uint64_t ticket,
            std::span<std::byte> to, std::shared_ptr<const void> keep)
      : world_(world), channel_(channel), ticket_(ticket), to_(to), keep_(std::move(keep)) {}

  bool poll() override {
    if (done_) return true;
    Bytes bytes;
    {
      const std::lock_guard lock(world_.mutex);
      auto& sent = world_.channels[channel_].sent;
      const auto found = sent.find(ticket_);
      if (found == sent.end()) return false;
      bytes = std::move(found->second);
      sent.erase(found);
    }
    require(bytes.size() == to_.size(), ErrorCode::PeerFailure, "message from rank ",
            std::get<0>(channel_), ": wanted ", to_.size(), " bytes, found ", bytes.size(),
            ": ranks call different operations");
    std::copy(bytes.begin(), bytes.end(), to_.begin());
    return done_ = true;
  }

 private:
  LocalWorld& world_;
  std::tuple<int, int, int> channel_;
  std::uint64_t ticket_;
  std::span<std::byte> to_;
  std::shared_ptr<const void> keep_;
  bool done_ = false;
};

class HeapWindow final : public Window {
 public:
  HeapWindow(std::shared_ptr<std::byte> data, std::size_t bytes, std::uint64_t id)
      : data_(std::move(data)), bytes_(bytes), id_(id) {}
  std::byte* data() noexcept override { return data_.get(); }
  std::size_t bytes() const noexcept override { return bytes_; }
  WindowName name() const noexcept override { return {{id_, bytes_, 0}}; }

 private:
  std::shared_ptr<std::byte> data_;  // readers share it
  std::size_t bytes_;
  std::uint64_t id_;
};

class LocalFabric final : public Fabric {
 public:
  LocalFabric(std::shared_ptr<LocalWorld> world, int rank)
      : world_(std::move(world)), rank_(rank) {}
  ~LocalFabric() override {
    const std::lock_guard lock(world_->mutex);
    me().state.left = true;
  }

  std::string_view name() const noexcept override { return "local"; }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return static_cast<int>(world_->ranks.size()); }
  int deadline_ms() const noexcept override { return world_->options.deadline_ms; }
  int host_of(int rank) const noexcept override {
    return world_->hosts[static_cast<std::size_t>(rank)];
  }

  std::unique_ptr<Message> send(int to, int context, std::span<const std::byte> bytes,
                                std::shared_ptr<const void>) override {
    Bytes copy(bytes.begin(), bytes.end());
    const std::lock_guard lock(world_->mutex);
    LocalWorld::Channel& channel = world_->channels[{rank_, to, context}];
    channel.sent.emplace(channel.next_sent++, std::move(copy));
    LocalWorld::Rank& receiver = world_->ranks[static_cast<std::size_t>(to)];
    ++receiver.arrived;
    receiver.arrival.notify_one();
    return std::make_unique<Sent>();
  }

  std::unique_ptr<Message> receive(int from, int context, std::span<std::byte> bytes,
                                   std::shared_ptr<const void> keep) override {
    const std::lock_guard lock(world_->mutex);
    const std::tuple key{from, rank_, context};
    const std::uint64_t ticket = world_->channels[key].next_received++;
    return std::make_unique<Receiving>(*world_, key, ticket, bytes, std::move(keep));
  }

  std::unique_ptr<Window> make_window(std::size_t bytes) override {
    const std::shared_ptr<std::byte> data(
        static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})), AlignedDelete{});
    const std::lock_guard lock(world_->mutex);
    std::erase_if(world_->windows, [](const auto& entry) { return entry.second.expired(); });
    const std::uint64_t id = world_->next_window++;
    world_->windows[id] = data;
    return std::make_unique<HeapWindow>(data, bytes, id);
  }

  std::shared_ptr<const std::byte> map_window(int peer, const WindowName& name,
                                              std::size_t bytes) override {
    const std::lock_guard lock(world_->mutex);
    const auto found = world_->windows.find(name.words[0]);
    auto data = found == world_->windows.end() ? nullptr : found->second.lock();
    if (data == nullptr && world_->failure) throw Error(ErrorCode::PeerFailure, *world_->failure);
    require(data != nullptr && name.words[1] >= bytes, ErrorCode::PeerFailure, "rank ", peer,
            ": wanted a shard of ", bytes, " bytes, found it gone");
    return data;
  }

  void ask(int) override {}

  PeerState state_of(int peer) override {
    const std::lock_guard lock(world_->mutex);
    const LocalWorld::Rank& other = world_->ranks[static_cast<std::size_t>(peer)];
    PeerState state = other.state;
    timespec used{};
    if (!state.left && state.waits_for < 0 && other.clock &&
        clock_gettime(*other.clock, &used) == 0)
      state.signs += static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000u +
                     static_cast<std::uint64_t>(used.tv_nsec);
    return state;
  }

  void note_alive() noexcept override {
    const std::lock_guard lock(world_->mutex);
    note_thread();
    ++me().state.signs;
  }
  void note_waiting(int peer) noexcept override {
    const std::lock_guard lock(world_->mutex);
    note_thread();
    me().state.waits_for = peer;
  }
  void note_place(std::string_view place) override {
    if (world_->options.told) world_->options.told(place);
    const std::lock_guard lock(world_->mutex);
    me().state.place = place;
  }
  // Until a message comes, or it is time to look around. (The system's clock: ThreadSanitizer does
  // not know the wait that std::condition_variable makes of another.)
  void rest(int) override {
    std::unique_lock lock(world_->mutex);
    if (me().arrived == me().noticed)
      me().arrival.wait_until(lock,
                              std::chrono::system_clock::now() + std::chrono::milliseconds(5));
    me().noticed = me().arrived;
  }

  void fail(std::string_view reason) noexcept override {
    const std::lock_guard lock(world_->mutex);
    if (!world_->failure) world_->failure = std::string(reason);
    for (LocalWorld::Rank& rank : world_->ranks) rank.arrival.notify_one();
  }
  std::optional<std::string> failure() override {
    const std::lock_guard lock(world_->mutex);
    return world_->failure;
  }

  int next_context() const noexcept override { return next_context_; }
  void use_contexts_below(int context) override { next_context_ = context; }

 private:
  LocalWorld::Rank& me() noexcept { return world_->ranks[static_cast<std::size_t>(rank_)]; }

  // Its own thread's clock of work: peers read it as a sign of life.
  void note_thread() noexcept {
    if (me().clock) return;
    clockid_t clock{};
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0) me().clock = clock;
  }

  std::shared_ptr<LocalWorld> world_;
  int rank_;
  int next_context_ = 1;
};

std::vector<int> everyone(int size) {
  std::vector<int> ranks;
  for (int rank = 0; rank < size; ++rank) ranks.push_back(rank);
  return ranks;
}

}  // namespace

std::vector<std::shared_ptr<Fabric>> make_local_fabrics(int size, const CommOptions& options,
                                                        std::span<const int> hosts) {
  require(size >= 1 && (hosts.empty() || hosts.size() == static_cast<std::size_t>(size)),
          ErrorCode::InvalidRequest, "ranks: wanted at least 1 and a host for each, found ", size);
  const auto world = std::make_shared<LocalWorld>();
  world->ranks.resize(static_cast<std::size_t>(size));
  world->options = options;
  for (int rank = 0; rank < size; ++rank)
    world->hosts.push_back(!options.shared_memory ? rank
                           : hosts.empty()        ? 0
                                                  : hosts[static_cast<std::size_t>(rank)]);
  std::vector<std::shared_ptr<Fabric>> made;
  for (int rank = 0; rank < size; ++rank)
    made.push_back(std::make_shared<LocalFabric>(world, rank));
  return made;
}

std::vector<std::unique_ptr<Communicator>> make_local_ranks(int size, const CommOptions& options,
                                                            std::span<const int> hosts) {
  std::vector<std::unique_ptr<Communicator>> made;
  for (auto& fabric : make_local_fabrics(size, options, hosts))
    made.push_back(std::make_unique<Group>(std::move(fabric), everyone(size), 0));
  return made;
}

void run_ranks(std::vector<std::unique_ptr<Communicator>> ranks,
               const std::function<void(Communicator&)>& body) {
  std::mutex mutex;
  std::exception_ptr first;
  const auto run = [&](int rank, std::unique_ptr<Communicator> own) {
    own->mark("");  // this thread's work counts as a sign of life from here on
    try {
      body(*own);
    } catch (...) {
      std::string what = "stopped by an exception";
      {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
      }
      try {
        throw;
      } catch (const std::exception& error) {
        what = error.what();
      } catch (...) {  // not one of ours: its kind is lost on the peers only
      }
      own->abort(text_of("rank ", rank, ": ", what));
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    threads.emplace_back(run, static_cast<int>(rank), std::move(ranks[rank]));
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

void run_local_ranks(int size, const CommOptions& options,
                     const std::function<void(Communicator&)>& body, std::span<const int> hosts) {
  run_ranks(make_local_ranks(size, options, hosts), body);
}

}  // namespace annulus

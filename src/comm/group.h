#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/fabric.h"

namespace annulus {

/// What a group keeps for shards that it shows: two places that take turns, so that a rank may fill
/// the next while slower ones still read the last.
struct ShardPlace {
  std::shared_ptr<Window> window;  // where ranks of this host read
  Tensor memory;                   // [capacity] U8: the window's, or the device's own
  std::vector<std::pair<int, std::unique_ptr<Message>>> readers;  // their "done with it"
};

/// Ranks of a world under their own numbers: every collective, over a fabric's messages.
class Group final : public Communicator {
 public:
  /// `ranks`: world ranks in the order of this group; this rank is among them.
  Group(std::shared_ptr<Fabric> fabric, std::vector<int> ranks, int context);
  /// Waits until no rank reads this one's shards any more (or the run has failed).
  ~Group() override;

  std::string_view name() const noexcept override { return fabric_->name(); }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return static_cast<int>(ranks_.size()); }

  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) override;
  void all_gather(Stream& stream, const Tensor& send, std::span<const std::int64_t> counts,
                  Tensor& recv) override;
  void all_to_all(Stream& stream, const Tensor& send, std::span<const std::int64_t> send_counts,
                  Tensor& recv, std::span<const std::int64_t> recv_counts) override;
  std::unique_ptr<Transfer> exchange(Stream& stream, const Tensor& send, int to, Tensor& recv,
                                     int from) override;
  Tensor publishable(Stream& stream, std::span<const std::size_t> bytes) override;
  std::unique_ptr<Published> publish(Stream& stream) override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void mark(std::string_view place) override;
  void abort(std::string_view reason) noexcept override;
  std::uint64_t bytes_sent() const noexcept override { return fabric_->bytes_sent(); }

 private:
  // Kinds of messages that must not be taken for one another.
  enum class Channel : int { Data, ShardName, ShardDone };
  static constexpr int kChannels = 3;
  friend class Epoch;

  int context(Channel channel) const noexcept {
    return context_ * kChannels + static_cast<int>(channel);
  }
  int world(int rank) const noexcept { return ranks_[static_cast<std::size_t>(rank)]; }
  bool same_host(int a, int b) const noexcept {
    return fabric_->host_of(world(a)) == fabric_->host_of(world(b));
  }
  std::unique_ptr<Message> send(int to, Channel channel, std::span<const std::byte> bytes,
                                std::shared_ptr<const void> keep = nullptr);
  std::unique_ptr<Message> receive(int from, Channel channel, std::span<std::byte> bytes,
                                   std::shared_ptr<const void> keep = nullptr);
  void await(Message& message, int peer, std::string_view operation);
  bool is_read_in_place() const noexcept;  // does any other rank read this one's shards so?
  void await_readers(ShardPlace& place);
  void send_and_forget(int to, Channel channel, std::vector<std::byte> bytes);

  std::shared_ptr<Fabric> fabric_;
  std::vector<int> ranks_;
  int context_;
  int rank_ = 0;

  std::vector<std::size_t> shard_bytes_;  // of the epoch being prepared
  ShardPlace places_[2];
  int next_place_ = 0;
  std::vector<std::unique_ptr<Message>> forgotten_;  // small sends that nobody waits for
};

}  // namespace annulus

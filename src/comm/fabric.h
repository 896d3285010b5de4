// What moves bytes between ranks of a world: implemented by threads (local.cc) and processes
// (mpi.cc). Internal to comm/; a Group turns it into a Communicator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "comm/communicator.h"

namespace annulus {

/// A message being sent or received. Dropped unfinished, its memory stays safe: the fabric keeps
/// what it needs.
class Message {
 public:
  virtual ~Message() = default;
  /// Is it done? Also moves other messages along.
  virtual bool poll() = 0;
};

/// What a peer said of itself: `signs` differs from before when it has done anything since.
struct PeerState {
  std::uint64_t signs = 0;
  int waits_for = -1;  // world rank
  bool left = false;   // ended its run
  std::string place;   // "step 3, layer 12"
};

/// Names a window to a peer; plain bytes.
struct WindowName {
  std::array<std::uint64_t, 3> words{};
};

/// Memory that the other ranks of the host can read.
class Window {
 public:
  virtual ~Window() = default;
  virtual std::byte* data() noexcept = 0;
  virtual std::size_t bytes() const noexcept = 0;
  virtual WindowName name() const noexcept = 0;
};

class Fabric {
 public:
  virtual ~Fabric() = default;
  virtual std::string_view name() const noexcept = 0;
  virtual int rank() const noexcept = 0;  // in the world
  virtual int size() const noexcept = 0;
  virtual int deadline_ms() const noexcept = 0;

  /// Ranks with the same number read each other's windows.
  virtual int host_of(int rank) const noexcept = 0;

  /// Messages of one (sender, receiver, context) arrive in order. `keep` owns the bytes.
  virtual std::unique_ptr<Message> send(int to, int context, std::span<const std::byte> bytes,
                                        std::shared_ptr<const void> keep) = 0;
  virtual std::unique_ptr<Message> receive(int from, int context, std::span<std::byte> bytes,
                                           std::shared_ptr<const void> keep) = 0;

  virtual std::unique_ptr<Window> make_window(std::size_t bytes) = 0;
  /// The peer's window under that name, mapped as long as the pointer lives.
  virtual std::shared_ptr<const std::byte> map_window(int peer, const WindowName& name,
                                                      std::size_t bytes) = 0;

  /// What is known of a peer; `ask` first where it is on another host and answers take a while.
  virtual void ask(int peer) = 0;
  virtual PeerState state_of(int peer) = 0;

  // Of this rank.
  virtual void note_alive() noexcept = 0;
  virtual void note_waiting(int peer) noexcept = 0;  // -1: no longer
  virtual void note_place(std::string_view place) = 0;
  virtual void rest(int attempt) = 0;  // between polls: short at first

  /// Where the rank is, and at which hop of a ring there (below 0: none).
  void mark(std::string_view place) {
    marked_ = place;
    note_place(place);
  }
  void mark_hop(int hop) { note_place(text_of(marked_, marked_.empty() ? "" : ", ", "hop ", hop)); }

  void count_sent(std::size_t bytes) noexcept { sent_ += bytes; }
  std::uint64_t bytes_sent() const noexcept { return sent_; }

  virtual void fail(std::string_view reason) noexcept = 0;  // tells every rank
  virtual std::optional<std::string> failure() = 0;         // what was told

  /// The first context that no group of this rank has used; see Group::split.
  virtual int next_context() const noexcept = 0;
  virtual void use_contexts_below(int context) = 0;

 private:
  std::string marked_;
  std::uint64_t sent_ = 0;
};

/// Threads of this process as ranks; fabric i belongs to rank i. Arguments as make_local_ranks.
std::vector<std::shared_ptr<Fabric>> make_local_fabrics(int size, const CommOptions& options,
                                                        std::span<const int> hosts);

/// MPI processes as ranks: as make_mpi.
std::shared_ptr<Fabric> make_mpi_fabric(const CommOptions& options);

/// Polls until `message` is done. Throws PeerFailure when the run has failed, or when `peer` (or
/// whoever that peer waits for) shows no sign of life for the deadline.
///
///   operation  for the error text: "ring hop 2"
void await(Fabric& fabric, Message& message, int peer, std::string_view operation);

}  // namespace annulus

// Ranks that work on one run: one alone (`none`), threads of a process (`local`), processes
// (`mpi`). All speak one interface; collectives are built once over messages (group.cc), so that a
// way to move bytes (fabric.h) is all that a new kind of rank needs. Nothing here knows what the
// bytes mean: parallel/ does. Start with Communicator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace annulus {

struct CommOptions {
  bool shared_memory = true;  // ranks of one host read each other's shards in place
  int deadline_ms = 30000;    // from a peer's last sign of life to PeerFailure
  /// Told where this rank is ("step 3 of 20, layer 12, hop 1"), often; for whoever watches from
  /// outside. Must be quick and not throw.
  std::function<void(std::string_view place)> told = {};
  /// Told why this process is about to end with status 7: a call of MPI that cannot be polled
  /// (MPI_Init, MPI_Finalize) did not return. Empty: a line on stderr.
  std::function<void(std::string_view why)> last_words = {};
};

/// A message under way. Its memory must stay as it is until wait() returns.
class Transfer {
 public:
  virtual ~Transfer() = default;
  /// Throws PeerFailure when the peer fails, leaves, or shows no sign of life for the deadline.
  virtual void wait() = 0;
};

/// One epoch of shards: what each rank of a group shows to all others. Hop h is the shard of rank
/// (rank - h) mod size; later hops travel, or are read in place, while the present one is used.
class Published {
 public:
  /// Gives the last hop back to its owner. Dropped early (an exception), the epoch is lost.
  virtual ~Published() = default;
  /// [bytes of the owner] U8 on this rank's device, valid until the next call. Every rank asks for
  /// hops 0, 1, ... size - 1, in that order. Throws PeerFailure as Transfer::wait does.
  virtual Tensor shard(int hop) = 0;
};

/// A group of ranks. All ranks of a group call the same collectives in the same order, each rank
/// from one thread. Every wait ends: with PeerFailure, naming rank and operation, once the peer
/// that everything hangs on has shown no sign of life for the deadline (it computes: life; it waits
/// for another: that other is looked at instead).
class Communicator {
 public:
  static constexpr int kNobody = -1;

  virtual ~Communicator() = default;
  virtual std::string_view name() const noexcept = 0;  // "none", "local", "mpi"
  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;

  /// `bytes` of rank `root` on every rank: read there, written elsewhere.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;

  /// Returns when every rank has called it.
  virtual void barrier() = 0;

  /// The bytes of each rank, in rank order, of any size each.
  virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) = 0;

  /// Elements of each rank, one after the other. Contiguous tensors of one dtype.
  ///
  ///   send    [counts[rank]]
  ///   recv    [sum of counts]  written
  virtual void all_gather(Stream& stream, const Tensor& send, std::span<const std::int64_t> counts,
                          Tensor& recv) = 0;

  /// Part r of `send` goes to rank r; part r of `recv` comes from it. Contiguous tensors of one
  /// dtype; what rank a sends to b, b must expect of a.
  ///
  ///   send    [sum of send_counts]
  ///   recv    [sum of recv_counts]  written
  virtual void all_to_all(Stream& stream, const Tensor& send,
                          std::span<const std::int64_t> send_counts, Tensor& recv,
                          std::span<const std::int64_t> recv_counts) = 0;

  /// Begins sending `send` to rank `to` and filling `recv` from rank `from` (kNobody: not; empty
  /// tensors send nothing). Messages between two ranks arrive in the order they were begun.
  virtual std::unique_ptr<Transfer> exchange(Stream& stream, const Tensor& send, int to,
                                             Tensor& recv, int from) = 0;

  /// Memory for the shard of the next publish(): [bytes[rank]] U8, where the ranks of this host can
  /// read it. Waits until they have done with what it showed two epochs ago.
  ///
  ///   bytes  the size of every rank's shard; 0 is allowed
  virtual Tensor publishable(Stream& stream, std::span<const std::size_t> bytes) = 0;

  /// Shows what was written to the memory that publishable() gave last, and begins to fetch the
  /// others' shards. That memory is not to be written to again.
  virtual std::unique_ptr<Published> publish(Stream& stream) = 0;

  /// The group of those ranks that give the same `color`, ordered by `key`, then by rank here.
  /// Collective over this group.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

  /// A sign of life, and where this rank is ("step 3, layer 12"): peers quote it when they report.
  virtual void mark(std::string_view place) = 0;

  /// Bytes that this rank has sent to others in messages since the world began, in all its groups.
  virtual std::uint64_t bytes_sent() const noexcept { return 0; }

  /// Ends the run on every rank of the world: their waits throw PeerFailure with `reason`.
  virtual void abort(std::string_view reason) noexcept = 0;
};

/// The group of one rank.
std::unique_ptr<Communicator> make_single_rank();

/// Ranks as threads of this process: communicator i belongs to the thread that is rank i.
/// `hosts`: which host each rank pretends to be on (empty: all on one), for tests of mixed paths.
std::vector<std::unique_ptr<Communicator>> make_local_ranks(int size, const CommOptions& options,
                                                            std::span<const int> hosts = {});

/// Runs `body` on each of `ranks`, one thread each, and returns when all have ended. A rank that
/// throws aborts the others; the exception of the first to throw is thrown again here.
void run_ranks(std::vector<std::unique_ptr<Communicator>> ranks,
               const std::function<void(Communicator&)>& body);

/// The same as `size` ranks of make_local_ranks.
void run_local_ranks(int size, const CommOptions& options,
                     const std::function<void(Communicator&)>& body,
                     std::span<const int> hosts = {});

/// Why there are no MPI ranks in this build; nothing when there are.
std::optional<std::string> mpi_refusal();

/// Was this process started by mpirun, srun or the like? (From the environment.)
bool started_by_mpi() noexcept;

/// The world of MPI processes. Starts MPI, once in a process's life; its destructor ends MPI, or
/// leaves that to mpirun after a failure. Throws Unsupported with the reason where MPI is absent.
std::unique_ptr<Communicator> make_mpi(const CommOptions& options);

}  // namespace annulus

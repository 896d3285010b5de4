// Ranks that work on one run. `none` (one rank) is here; ranks as threads and as MPI processes
// implement the same interface.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace annulus {

/// A group of ranks. Collectives are called by every rank of the group in the same order.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual std::string_view name() const noexcept = 0;  // "none", "local", "mpi"
  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;

  /// `bytes` of rank `root` on every rank: read there, written elsewhere.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;

  /// Ends the run on every rank of the world; `reason` is printed by those that learn of it.
  virtual void abort(std::string_view reason) noexcept = 0;
};

/// The group of one rank.
std::unique_ptr<Communicator> make_single_rank();

}  // namespace annulus

// A test double: messages between hosts that take as long as on a link of a given speed, over
// threads or MPI processes. By a virtual clock a run computes at full speed and knows afterwards
// how long each rank would have waited; by the real one messages are held back. Shards that are
// read in place are not shaped: give ranks hosts of their own for that.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace annulus {

/// A message arrives latency + bytes / bandwidth after it began; messages of one rank leave one
/// after the other.
struct LinkShape {
  double latency_seconds = 0;
  double bytes_per_second = 1e9;
};

/// A rank's time. Used by that rank's thread alone.
class LinkClock {
 public:
  virtual ~LinkClock() = default;
  virtual double now() const = 0;  // seconds
  /// Is it `seconds` o'clock? A virtual clock is put forward to it.
  virtual bool reached(double seconds) = 0;
};

/// Stands still but for work that is told to it and for messages that are waited for.
class VirtualClock final : public LinkClock {
 public:
  double now() const override { return now_; }
  bool reached(double seconds) override {
    if (seconds > now_) waited_ += seconds - now_, now_ = seconds;
    return true;
  }
  void work(double seconds) noexcept { now_ += seconds; }
  double waited() const noexcept { return waited_; }  // seconds, of now()

 private:
  double now_ = 0, waited_ = 0;
};

/// The system's. Comparable between processes of one host.
class RealClock final : public LinkClock {
 public:
  double now() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  bool reached(double seconds) override { return now() >= seconds; }
};

/// As make_local_ranks; `clocks[i]` is rank i's.
std::vector<std::unique_ptr<Communicator>> make_shaped_local_ranks(
    const LinkShape& shape, std::span<const std::shared_ptr<LinkClock>> clocks,
    const CommOptions& options, std::span<const int> hosts = {});

/// As make_mpi, for this rank.
std::unique_ptr<Communicator> make_shaped_mpi(const LinkShape& shape,
                                              std::shared_ptr<LinkClock> clock,
                                              const CommOptions& options);

}  // namespace annulus

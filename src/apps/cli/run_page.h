// What `annulus generate --ranks N` and the ranks that it starts share: one page of memory. Ranks
// say where they are and what went wrong, the parent says stop. It has no name in any folder, so
// nothing is left of it however they end.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace annulus::cli {

/// Of one rank. The parent reads a rank's texts when that rank is gone, or for display.
struct RankSlot {
  enum State : int { Absent, Running, Done, Failed };
  std::atomic<int> state = Absent, process = 0;
  int code = 0;  // ErrorCode; -1: no Error of ours
  std::array<char, 160> place{};
  std::array<char, 1200> what{};
  std::array<char, 600> hint{};
};

struct RunPageHead {
  int ranks = 0;
  std::atomic<int> stop_signal = 0;  // the parent was asked to stop
};

class RunPage {
 public:
  /// The parent's.
  explicit RunPage(int ranks);
  ~RunPage();
  RunPage(const RunPage&) = delete;
  RunPage& operator=(const RunPage&) = delete;

  /// A rank's, found by the environment; null when nobody owns the run.
  static std::unique_ptr<RunPage> of_parent();

  /// "NAME=value" that tells ranks where it is, and which descriptors of the parent rank 0 is to
  /// write to.
  std::string environment(int out, int err) const;

  int ranks() const noexcept { return head().ranks; }
  RunPageHead& head() const noexcept { return *static_cast<RunPageHead*>(memory_); }
  RankSlot& slot(int rank) const noexcept;

 private:
  RunPage() = default;
  void map(int file, std::size_t bytes);

  int file_ = -1;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Cuts `text` to fit.
template <std::size_t Size>
void put_text(std::array<char, Size>& to, std::string_view text) noexcept {
  const std::size_t length = text.substr(0, Size - 1).copy(to.data(), Size - 1);
  to[length] = 0;
}

/// What a rank writes as it ends.
void put_error(RankSlot& slot, const std::exception& error) noexcept;
Error error_in(const RankSlot& slot);

/// Makes this rank's standard output and error those that the parent names, as if it had been
/// started by it and not by mpirun: progress is drawn on a terminal, lines come at once, and
/// nothing of mpirun's is among them.
void take_parents_outputs();

}  // namespace annulus::cli

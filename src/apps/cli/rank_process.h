// This process as one of several ranks, started by `--ranks`, mpirun or srun.
#pragma once

#include <functional>
#include <memory>

#include "apps/cli/command_line.h"
#include "apps/cli/rank_places.h"
#include "apps/cli/run_page.h"
#include "comm/communicator.h"

namespace annulus::cli {

class RankProcess {
 public:
  /// From here on only rank 0 writes to stdout.
  explicit RankProcess(const RankPlace& place);
  ~RankProcess();
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  /// Threads for this rank, where `wanted` are asked for (0: not).
  int threads(int wanted) const { return wanted > 0 ? wanted : threads_of(place_); }

  /// Where this rank is, for the parent.
  void told(std::string_view at) const noexcept;

  /// The signal that asked this rank, or the parent, to stop; 0: none.
  int stop_signal() const noexcept;

  void done() noexcept;
  /// Reports what ended this rank, to the parent or on stderr, and returns the exit status. One
  /// rank speaks for all: the first, unless it is the first that is lost.
  int failed(const std::exception& error) noexcept;

 private:
  RankPlace place_;
  std::unique_ptr<RunPage> page_;  // null: nobody owns the run
};

/// Runs a command as a rank: parses (every rank prints, or fails, as the first does), starts MPI,
/// compares the arguments of all ranks, works. Returns the exit status.
int run_as_rank(const RankPlace& place, const Arguments& arguments,
                const std::function<Parsed()>& parse, const std::function<CommOptions()>& options,
                const std::function<void(RankProcess&, Communicator&)>& work);

}  // namespace annulus::cli

// Where this process stands among ranks, by the variables that mpirun, mpiexec and srun set; what
// can be known before MPI is started.
#pragma once

#include <optional>

namespace annulus::cli {

struct RankPlace {
  int rank = 0, ranks = 0;              // 0: not told how many
  int local_rank = 0, local_ranks = 1;  // among those on this host
};

/// Nothing when this process was started by itself.
std::optional<RankPlace> rank_place();

/// Threads for a rank that was not told: the cores that it may use, shared with the ranks of its
/// host that may use the same.
int threads_of(const RankPlace& place);

/// Keeps this process to its share of the cores it may use; where there are fewer cores than ranks
/// of the host, to all of them.
void bind_to_share(const RankPlace& place);

}  // namespace annulus::cli

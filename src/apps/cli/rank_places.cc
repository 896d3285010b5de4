#include "apps/cli/rank_places.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "comm/communicator.h"

namespace annulus::cli {

namespace {

/// The number that the first of these variables begins with ("4(x2)" is 4).
std::optional<int> number_in(std::initializer_list<const char*> variables) {
  for (const char* variable : variables) {
    const std::string_view text = environment(variable);
    int number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc())
      return number;
  }
  return std::nullopt;
}

std::vector<int> cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> list;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return list;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) list.push_back(core);
  return list;
}

}  // namespace

std::optional<RankPlace> rank_place() {
  if (!started_by_mpi()) return std::nullopt;
  RankPlace place;
  place.rank =
      number_in({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}).value_or(0);
  place.ranks = number_in({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}).value_or(0);
  place.local_rank =
      number_in({"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}).value_or(0);
  place.local_ranks = std::max(1, number_in({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
                                             "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"})
                                      .value_or(1));
  return place;
}

int threads_of(const RankPlace& place) {
  const auto mine = static_cast<int>(cores().size());
  const bool bound = mine < static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return std::max(1, bound ? mine : mine / place.local_ranks);
}

void bind_to_share(const RankPlace& place) {
  const std::vector<int> all = cores();
  const auto ranks = static_cast<std::size_t>(place.local_ranks),
             me = static_cast<std::size_t>(place.local_rank);
  if (all.size() < ranks || me >= ranks) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::size_t i = me * all.size() / ranks; i < (me + 1) * all.size() / ranks; ++i)
    CPU_SET(all[i], &set);
  // A refusal costs speed only.
  static_cast<void>(sched_setaffinity(0, sizeof set, &set));
}

}  // namespace annulus::cli

#include <cstdlib>

#include "comm/communicator.h"

namespace annulus {

// Sizes above one are what counts: a shell inside a Slurm allocation has SLURM_NTASKS too, but only
// srun sets a rank.
bool started_by_mpi() noexcept {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"})
    if (std::getenv(variable) != nullptr) return true;
  return std::getenv("SLURM_PROCID") != nullptr && std::getenv("SLURM_STEP_ID") != nullptr;
}

}  // namespace annulus


#include "base/environment.h"
#include "comm/communicator.h"

namespace annulus {

// Sizes above one are what counts: a shell inside a Slurm allocation has SLURM_NTASKS too, but only
// srun sets a rank.
bool started_by_mpi() noexcept {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"})
    if (!environment(variable).empty()) return true;
  return !environment("SLURM_PROCID").empty() && !environment("SLURM_STEP_ID").empty();
}

}  // namespace annulus

// In place of mpi.cc where MPI was not found.
#include "base/error.h"
#include "comm/communicator.h"

namespace annulus {

std::optional<std::string> mpi_refusal() {
  return "built without MPI (libopenmpi-dev was not there when it was configured)";
}

std::unique_ptr<Communicator> make_mpi(const CommOptions&) {
  throw Error(ErrorCode::Unsupported, "ranks: wanted MPI, found " + *mpi_refusal(),
              "install libopenmpi-dev and openmpi-bin, and build again");
}

}  // namespace annulus

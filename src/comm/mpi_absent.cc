// In place of mpi.cc where MPI was not found.
#include "base/error.h"
#include "comm/fabric.h"
#include "comm/mpi_library.h"

namespace annulus {

std::optional<std::string> mpi_refusal() {
  return "built without MPI (libopenmpi-dev was not there when it was configured)";
}

std::string mpi_library() {
  return "not built in";
}

std::shared_ptr<Fabric> make_mpi_fabric(const CommOptions&) {
  throw Error(ErrorCode::Unsupported, "ranks: wanted MPI, found " + *mpi_refusal(),
              "install libopenmpi-dev and openmpi-bin, and build again");
}

std::unique_ptr<Communicator> make_mpi(const CommOptions& options) {
  make_mpi_fabric(options);
  return nullptr;  // not reached: it throws
}

}  // namespace annulus

#pragma once

#include <string>

namespace annulus {

/// The MPI library that runs here ("Open MPI v4.1.4"); "not built in" where there is none.
std::string mpi_library();

}  // namespace annulus

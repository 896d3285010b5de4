#include "comm/mpi_library.h"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace annulus {

std::string mpi_library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return "unknown";
  // Name and number come first; what follows is how it was built.
  const std::string_view whole = text.data();
  std::string name(whole.substr(0, whole.find_first_of(",\n")));
  std::replace(name.begin(), name.end(), '\t', ' ');
  return name;
}

}  // namespace annulus

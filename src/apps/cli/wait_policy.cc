#include "apps/cli/wait_policy.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "base/environment.h"

namespace annulus::cli {

void limit_spinning(char** argv) noexcept {
  if (!environment("OMP_WAIT_POLICY").empty() || !environment("GOMP_SPINCOUNT").empty()) return;
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return;
  program[length] = '\0';
  setenv("GOMP_SPINCOUNT", "1000", 1);  // NOLINT(concurrency-mt-unsafe): no thread yet
  execv(program, argv);
}

}  // namespace annulus::cli

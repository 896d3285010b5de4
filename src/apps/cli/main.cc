#include <iostream>

#include "apps/cli/exit_status.h"
#include "apps/cli/program.h"
#include "apps/cli/wait_policy.h"

int main(int argc, char** argv) {
  annulus::cli::limit_spinning(argv);
  try {
    return annulus::cli::run_program({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    return annulus::cli::report_error(std::cerr, error);
  }
}

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <system_error>

#include "apps/cli/exit_status.h"
#include "apps/cli/program.h"
#include "apps/cli/wait_policy.h"

namespace {

using namespace annulus;

// A write that cannot be done is an error with a message, not a death by signal.
void ignore_signals_of_writes() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

// Keeps the numbers of standard streams that the caller closed, so that no file of ours gets one.
// Stdout becomes read-only: what is written there fails.
void take_closed_streams() {
  constexpr std::array<int, 3> kModes = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int stream = 0; stream < 3; ++stream)
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      (void)::open("/dev/null", kModes[static_cast<std::size_t>(stream)]);
}

Error stdout_error() {
  return {ErrorCode::StorageFull, text_of("stdout: wanted it to take the output, found ",
                                          std::generic_category().message(errno))};
}

int run(const cli::Arguments& arguments) {
  try {
    const int status = cli::run_program(arguments);
    std::cout.flush();
    return status;
  } catch (const std::ios_base::failure&) {  // of stdout: no other stream throws
    return cli::report_error(std::cerr, stdout_error());
  } catch (const std::exception& error) {
    return cli::report_error(std::cerr, error);
  }
}

}  // namespace

int main(int argc, char** argv) {
  cli::limit_spinning(argv);
  ignore_signals_of_writes();
  take_closed_streams();
  std::cout.exceptions(std::ios::badbit);
  std::cerr.tie(nullptr);  // a message is no occasion to find that stdout fails
  const int status = run({argv + 1, argv + argc});
  std::cout.exceptions(std::ios::goodbit);  // it is flushed once more at the end
  return status;
}

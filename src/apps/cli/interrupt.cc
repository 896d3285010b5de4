#include "apps/cli/interrupt.h"

#include <csignal>

namespace annulus::cli {

namespace {

volatile std::sig_atomic_t stop_signal = 0;  // the one thing a handler may write

void on_signal(int signal) {
  if (stop_signal != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  stop_signal = signal;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupted() noexcept {
  return stop_signal;
}

}  // namespace annulus::cli

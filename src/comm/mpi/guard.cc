#include "comm/mpi/guard.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "base/error.h"

namespace annulus {

namespace {
constexpr int kPeerFailureStatus = 7;  // of the table in docs/cli.md
}

Guard::Guard(int timeout_ms, std::string call, std::function<void(std::string_view)> last_words)
    : thread_([this, timeout_ms, call = std::move(call), last_words = std::move(last_words)] {
        std::unique_lock lock(mutex_);
        if (ended_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return done_; }))
          return;
        // Nobody can be told by an exception: the thread that would catch it is inside the call.
        const std::string why = text_of(call, ": wanted to return within ", timeout_ms,
                                        " ms, found it waiting for other ranks");
        const std::string line = "annulus: error: " + why + "\n";
        if (last_words)
          last_words(why);
        else
          static_cast<void>(!write(STDERR_FILENO, line.data(), line.size()));
        std::_Exit(kPeerFailureStatus);
      }) {}

Guard::~Guard() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

}  // namespace annulus

#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace annulus {

/// Ends this process with status 7 (a peer failed) when a call that cannot be polled has not
/// returned in time: MPI_Init, MPI_Comm_dup, MPI_Finalize.
class Guard {
 public:
  /// `last_words` is told before the end; empty: a line on stderr is written.
  Guard(int timeout_ms, std::string call, std::function<void(std::string_view)> last_words);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace annulus

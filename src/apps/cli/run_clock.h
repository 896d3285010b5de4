#pragma once

#include <chrono>

namespace annulus::cli {

/// Seconds since this process was started by the system (its loading included, to a hundredth).
double seconds_since_process_start();

/// Largest resident memory of this process so far, in bytes.
std::size_t peak_resident_bytes();

/// Seconds since a moment.
class StopWatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace annulus::cli

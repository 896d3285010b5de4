#pragma once

#include <string>
#include <vector>

#include "platform/platform.h"

namespace annulus {

/// One operation or attention backend of a platform against the reference platform (every op a
/// plain loop in double).
struct SelfTestLine {
  std::string name;
  double error = 0;  // largest difference, as a share of the reference's largest value
  double bound = 0;
  std::string failure;  // what it threw; empty: nothing

  bool passed() const noexcept { return failure.empty() && error <= bound; }
};

/// Runs small cases of every operation and attention backend in `dtype`. Takes well under a second
/// on a CPU.
std::vector<SelfTestLine> self_test(const Platform& platform, DType dtype);

}  // namespace annulus

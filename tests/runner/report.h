#pragma once

#include <string>
#include <vector>

#include "comparison.h"

namespace annulus::goldens {

/// What became of a case.
struct CaseReport {
  bool ok = true;
  std::string text;  // one line; when it failed, one more for each of the first tensors that miss
};

/// The line of a case: the tensor that came nearest to its bound (or missed it by most), its
/// largest and mean error, the bound; then what missed, in the order in which it was made.
CaseReport report_of(const GoldenCase& golden, const std::vector<TensorResult>& results);

}  // namespace annulus::goldens

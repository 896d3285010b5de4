#include "report.h"

#include <cmath>
#include <sstream>

namespace annulus::goldens {
namespace {

constexpr int kShown = 8;  // tensors that miss

/// How much of its bound a tensor uses; for ordering.
double use_of(const TensorResult& result) {
  if (!result.ok) return INFINITY;
  return result.bound.max > 0 ? result.max_error / result.bound.max : result.max_error;
}

std::string figures_of(const TensorResult& result) {
  std::ostringstream text;
  text.precision(3);
  text << result.name << " max " << result.max_error << " mean " << result.mean_error << " bound "
       << result.bound.max;
  if (result.bound.rms >= 0) text << " rms " << result.rms_error << " of " << result.bound.rms;
  return text.str();
}

}  // namespace

CaseReport report_of(const GoldenCase& golden, const std::vector<TensorResult>& results) {
  const TensorResult* worst = nullptr;
  std::size_t missed = 0;
  for (const TensorResult& result : results) {
    missed += result.ok ? 0 : 1;
    if (worst == nullptr || use_of(result) > use_of(*worst)) worst = &result;
  }
  CaseReport report{.ok = missed == 0 && worst != nullptr, .text = {}};
  std::ostringstream text;
  text << (report.ok ? "pass " : "FAIL ") << golden.name() << " (" << golden.kind() << "): ";
  if (worst == nullptr) {
    text << "nothing was compared";
  } else if (report.ok) {
    text << results.size() << (results.size() == 1 ? " tensor, " : " tensors, nearest ")
         << figures_of(*worst);
  } else {
    text << missed << " of " << results.size() << " tensors miss";
  }
  int shown = 0;
  for (const TensorResult& result : results) {
    if (result.ok || shown++ >= kShown) continue;
    text << "\n     " << figures_of(result) << " shape " << result.shape << " first bad "
         << result.first_bad;
  }
  if (shown > kShown) text << "\n     and " << shown - kShown << " more";
  report.text = text.str();
  return report;
}

}  // namespace annulus::goldens

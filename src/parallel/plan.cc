#include "parallel/plan.h"

#include <numeric>
#include <sstream>

#include "base/error.h"

namespace annulus {

std::string to_string(const ParallelPlan& plan) {
  return text_of("cfg ", plan.cfg, " x ring ", plan.ring, " x ulysses ", plan.ulysses);
}

ParallelPlan resolve_plan(const PlanRequest& request) {
  for (const auto& [value, name] : {std::pair{request.ranks, "--ranks"},
                                    {request.ring, "--ring-degree"},
                                    {request.ulysses, "--ulysses-degree"}})
    require(!value || *value >= 1, ErrorCode::InvalidRequest, name, ": wanted at least 1, found ",
            value.value_or(0));
  ParallelPlan plan{.cfg = request.cfg ? 2 : 1,
                    .ulysses = request.ulysses.value_or(1),
                    .ring = request.ring.value_or(1)};
  if (!request.ranks) return plan;
  const int ranks = *request.ranks;
  if (!request.ring && ranks % (plan.cfg * plan.ulysses) == 0)
    plan.ring = ranks / (plan.cfg * plan.ulysses);
  else if (!request.ulysses && ranks % (plan.cfg * plan.ring) == 0)
    plan.ulysses = ranks / (plan.cfg * plan.ring);
  require(plan.ranks() == ranks, ErrorCode::InvalidRequest,
          "parallel plan: wanted degrees whose product is ", ranks, " ranks, found ",
          to_string(plan));
  return plan;
}

std::vector<int> ulysses_degrees(std::int64_t heads, int most) {
  std::vector<int> degrees;
  for (int degree = 1; degree <= most && degree <= heads; ++degree)
    if (heads % degree == 0) degrees.push_back(degree);
  return degrees;
}

void check_ulysses(std::string_view layer, std::int64_t heads, int degree) {
  if (heads % degree == 0) return;
  std::ostringstream hint;
  hint << "degrees that divide " << heads << " heads:";
  const char* separator = " ";
  for (const int works : ulysses_degrees(heads, 64)) {
    hint << separator << works;
    separator = ", ";
  }
  hint << "; --ring-degree has no such need";
  throw Error(ErrorCode::InvalidRequest,
              text_of("ulysses: wanted a degree that divides the ", heads, " heads of ", layer,
                      ", found ", degree),
              hint.str());
}

std::int64_t replicated_kv_heads(std::int64_t kv_heads, int degree) {
  return std::lcm(kv_heads, static_cast<std::int64_t>(degree));
}

}  // namespace annulus

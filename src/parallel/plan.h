#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace annulus {

/// How the ranks of one run are divided: world = cfg x ring x ulysses. Ulysses is the inner,
/// contiguous group (inside a host: it wants bandwidth), ring the outer (between hosts: neighbours
/// only), cfg the outermost.
struct ParallelPlan {
  int cfg = 1, ulysses = 1, ring = 1;
  int ranks() const noexcept { return cfg * ulysses * ring; }
  bool operator==(const ParallelPlan&) const = default;
};

std::string to_string(const ParallelPlan& plan);  // "cfg 2 x ring 2 x ulysses 1"

/// What a user asked for; absent: not given.
struct PlanRequest {
  std::optional<int> ranks, ring, ulysses;
  bool cfg = false;  // the branches of guidance on ranks of their own
};

/// Ranks default to the product of the degrees; a degree that is not given is what remains, ring
/// before Ulysses. Throws InvalidRequest when the product differs from the ranks.
ParallelPlan resolve_plan(const PlanRequest& request);

/// Degrees of Ulysses that divide a layer's heads.
std::vector<int> ulysses_degrees(std::int64_t heads, int most);

/// Throws InvalidRequest naming the layer's count and the degrees that work, when `degree` does not
/// divide `heads`. kv_heads need not be divided: they are replicated.
void check_ulysses(std::string_view layer, std::int64_t heads, int degree);

/// kv heads as Ulysses sees them: each replicated until the degree divides them.
std::int64_t replicated_kv_heads(std::int64_t kv_heads, int degree);

}  // namespace annulus

#pragma once

namespace annulus {

/// How the ranks of one run are divided: world = cfg x ring x ulysses. Ulysses is the inner,
/// contiguous group, cfg the outermost.
struct ParallelPlan {
  int cfg = 1, ulysses = 1, ring = 1;
  int ranks() const noexcept { return cfg * ulysses * ring; }
  bool operator==(const ParallelPlan&) const = default;
};

}  // namespace annulus

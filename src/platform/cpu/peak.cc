#include "platform/cpu/peak.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "attention/cpu/flash.h"
#include "base/parallel_for.h"
#include "platform/cpu/peak_loops.h"

namespace annulus {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

// Runs `loop` on every thread at once, doubling its rounds until it lasts; the best of three.
double operations_per_second(int threads, double seconds, const PeakLoop& loop) {
  double best = 0;
  std::int64_t rounds = 10000;
  for (int tries = 0; tries < 3;) {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) loop.run(rounds);
    });
    const double spent = seconds_since(start);
    if (spent < seconds / 3) {
      rounds *= 2;
      continue;
    }
    best =
        std::max(best, static_cast<double>(rounds) * loop.operations_per_round * threads / spent);
    ++tries;
  }
  return best;
}

constexpr std::size_t kMemoryBytes = std::size_t{256}
                                     << 20;  // larger than caches of common machines

template <class Body>
double bytes_per_second(int threads, std::int64_t bytes, const Body& body) {
  double best = 0;
  for (int tries = 0; tries < 4; ++tries) {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, bytes, 1 << 20, body);
    best = std::max(best, static_cast<double>(bytes) / seconds_since(start));
  }
  return best;
}

}  // namespace

std::vector<PeakRate> measure_cpu_peaks(int threads, double seconds) {
  std::vector<PeakRate> peaks;
  const std::vector<Isa> usable = usable_isas();
  for (const PeakLoop& loop : peak_loops())
    if (std::find(usable.begin(), usable.end(), loop.isa) != usable.end())
      peaks.push_back({loop.name, loop.unit, operations_per_second(threads, seconds, loop)});

  std::vector<std::uint64_t> from(kMemoryBytes / sizeof(std::uint64_t), 1), to(from.size());
  const auto bytes = static_cast<std::int64_t>(kMemoryBytes);
  peaks.push_back({"memory read", "byte/s",
                   bytes_per_second(threads, bytes, [&](std::int64_t begin, std::int64_t end) {
                     std::uint64_t sum = 0;
                     for (std::int64_t i = begin / 8; i < end / 8; ++i)
                       sum += from[static_cast<std::size_t>(i)];
                     keep(sum);
                   })});
  // A copy reads and writes: both count.
  peaks.push_back({"memory copy", "byte/s",
                   2 * bytes_per_second(threads, bytes, [&](std::int64_t begin, std::int64_t end) {
                     std::memcpy(reinterpret_cast<char*>(to.data()) + begin,
                                 reinterpret_cast<const char*>(from.data()) + begin,
                                 static_cast<std::size_t>(end - begin));
                   })});
  return peaks;
}

}  // namespace annulus

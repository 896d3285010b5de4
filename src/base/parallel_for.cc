#include "base/parallel_for.h"

#include <sched.h>

#include <algorithm>
#include <atomic>

#ifdef ANNULUS_STD_THREADS
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

#include "base/thread_runtime.h"

namespace annulus {

namespace {

struct Split {
  std::int64_t count, chunks;
  std::int64_t begin(std::int64_t chunk) const noexcept {
    return chunk * (count / chunks) + std::min(chunk, count % chunks);
  }
};

// Runs body(thread) on `threads` threads, this one included.
template <class Body>
void on_threads(int threads, const Body& body) noexcept {
#ifdef ANNULUS_STD_THREADS
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread)
    others.emplace_back([&body, thread] { body(thread); });
  body(0);
  for (std::thread& other : others) other.join();
#else
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num());
#endif
}

}  // namespace

namespace detail {

void run_chunks(int threads, std::int64_t count, std::int64_t grain, bool dynamic,
                ChunkFunction run, void* body) noexcept {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t pieces = (count + grain - 1) / grain;
  const int used = static_cast<int>(std::clamp<std::int64_t>(pieces, 1, std::max(threads, 1)));
  if (used == 1) return run(body, 0, count, 0);
  std::atomic<std::int64_t> next{0};
  const std::int64_t chunks = dynamic ? pieces : used;
  const Split split{count, chunks};
  // Chunks are claimed rather than assigned, so the work is done whole even if the runtime grants
  // fewer threads.
  on_threads(used, [&](int thread) {
    for (std::int64_t chunk = next++; chunk < chunks; chunk = next++)
      run(body, split.begin(chunk), split.begin(chunk + 1), thread);
  });
}

}  // namespace detail

#ifdef ANNULUS_STD_THREADS
LibraryThreads::LibraryThreads(int) noexcept {}
LibraryThreads::~LibraryThreads() = default;
#else
LibraryThreads::LibraryThreads(int threads) noexcept : before_(omp_get_max_threads()) {
  omp_set_num_threads(std::max(threads, 1));
}
LibraryThreads::~LibraryThreads() {
  omp_set_num_threads(before_);
}
#endif

std::string thread_runtime() {
#ifdef ANNULUS_STD_THREADS
  return "std::thread";
#else
  return "OpenMP " + std::to_string(_OPENMP);
#endif
}

int available_cores() noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::max(CPU_COUNT(&allowed), 1);
}

}  // namespace annulus

// Loops over several threads: the only user of OpenMP (or of std::thread in the `tsan` preset). The
// caller passes the number of threads; there is no global setting. Kernels called from here must
// not throw.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

namespace annulus {

namespace detail {
using ChunkFunction = void (*)(void* body, std::int64_t begin, std::int64_t end, int thread);
void run_chunks(int threads, std::int64_t count, std::int64_t grain, bool dynamic,
                ChunkFunction run, void* body) noexcept;

template <class Body>
void call_chunk(void* body, std::int64_t begin, std::int64_t end, int thread) {
  Body& f = *static_cast<Body*>(body);
  if constexpr (std::is_invocable_v<Body&, std::int64_t, std::int64_t, int>)
    f(begin, end, thread);
  else
    f(begin, end);
}
}  // namespace detail

/// Calls body(begin, end) or body(begin, end, thread) over disjoint ranges that cover [0, count).
///
///   threads  at most this many run at once; `thread` is in [0, threads)
///   grain    items below which a range is not split further (at least 1)
///
/// Ranges are equal and contiguous, one per thread, and depend on nothing but the arguments.
template <class Body>
void parallel_for(int threads, std::int64_t count, std::int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::run_chunks(threads, count, grain, false, &detail::call_chunk<Plain>,
                     const_cast<void*>(static_cast<const void*>(&body)));
}

/// As parallel_for, but ranges of `grain` items are handed out as threads become free: for items of
/// unequal cost.
template <class Body>
void parallel_for_dynamic(int threads, std::int64_t count, std::int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::run_chunks(threads, count, grain, true, &detail::call_chunk<Plain>,
                     const_cast<void*>(static_cast<const void*>(&body)));
}

/// For its lifetime, libraries called from this thread that use the same runtime (oneDNN) take
/// `threads` threads.
class LibraryThreads {
 public:
  explicit LibraryThreads(int threads) noexcept;
  ~LibraryThreads();
  LibraryThreads(const LibraryThreads&) = delete;
  LibraryThreads& operator=(const LibraryThreads&) = delete;

 private:
  int before_ = 0;
};

/// Cores this process may run on (its affinity mask), at least 1.
int available_cores() noexcept;

}  // namespace annulus

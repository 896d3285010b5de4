#include "tensor/memory_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace annulus {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLargestSmall = std::size_t{256}
                                      << 10;  // blocks that share segments of one huge page

std::size_t up(std::size_t bytes, std::size_t step) noexcept {
  return (bytes + step - 1) / step * step;
}

// Under AddressSanitizer memory that is not handed out may not be touched.
void forbid([[maybe_unused]] const std::byte* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(data, bytes);
#endif
}
void allow([[maybe_unused]] const std::byte* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(data, bytes);
#endif
}

std::byte* map_aligned(std::size_t bytes) noexcept {
  const std::size_t mapped = bytes + kHugePage;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(raw);
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  const std::size_t before = up(address, kHugePage) - address, after = kHugePage - before;
  if (before != 0) munmap(begin, before);
  if (after != 0) munmap(begin + before + bytes, after);
  madvise(begin + before, bytes,
          MADV_HUGEPAGE);  // a wish: where the system has none, small pages serve
  return begin + before;
}

}  // namespace

std::size_t MemoryPool::rounded(std::size_t bytes) noexcept {
  bytes = std::max<std::size_t>(bytes, 1);
  return up(bytes, bytes <= kLargestSmall ? kAlignment : kPage);
}

MemoryPool::~MemoryPool() {
  for (auto& [data, range] : ranges_) allow(data, range.bytes);
  for (auto at = ranges_.begin();
       at != ranges_.end();) {  // a segment is a run of ranges from `first` to `last`
    std::byte* begin = at->first;
    std::size_t bytes = 0;
    for (bool last = false; !last; ++at) {
      bytes += at->second.bytes;
      last = at->second.last;
    }
    munmap(begin, bytes);
  }
}

std::byte* MemoryPool::take(std::size_t bytes) {
  bytes = rounded(bytes);
  const bool small = bytes <= kLargestSmall;
  const std::lock_guard lock(mutex_);
  const auto fit = free_ranges(small).lower_bound({bytes, nullptr});
  std::byte* from = fit != free_ranges(small).end() ? fit->second : add_segment(bytes, small);
  return from == nullptr ? nullptr : carve(ranges_.find(from), bytes);
}

// A new free range that holds `bytes`; null when the system has no more. The mutex is held.
std::byte* MemoryPool::add_segment(std::size_t bytes, bool small) {
  const std::size_t size = up(bytes, kHugePage), most = std::max(use_.peak, use_.in_use + bytes);
  release_segments_until(most > size ? most - size : 0);
  std::byte* data = map_aligned(size);
  if (data == nullptr) {
    release_segments_until(0);
    data = map_aligned(size);
  }
  if (data == nullptr) return nullptr;
  forbid(data, size);
  ranges_.emplace(data, Range{size, true, small, true, true});
  free_ranges(small).emplace(size, data);
  use_.cached += size;
  return data;
}

// Takes the front of a free range. The mutex is held.
std::byte* MemoryPool::carve(Ranges::iterator range, std::size_t bytes) {
  std::byte* data = range->first;
  Range& front = range->second;
  free_ranges(front.small).erase({front.bytes, data});
  if (front.bytes > bytes) {
    const Range rest = {front.bytes - bytes, true, front.small, false, front.last};
    ranges_.emplace(data + bytes, rest);
    free_ranges(rest.small).emplace(rest.bytes, data + bytes);
    front.bytes = bytes;
    front.last = false;
  }
  front.free = false;
  allow(data, bytes);
  use_.in_use += bytes;
  use_.cached -= bytes;
  use_.peak = std::max(use_.peak, use_.in_use);
  return data;
}

void MemoryPool::give(std::byte* data) noexcept {
  const std::lock_guard lock(mutex_);
  auto range = ranges_.find(data);
  forbid(data, range->second.bytes);
  use_.in_use -= range->second.bytes;
  use_.cached += range->second.bytes;
  range->second.free = true;
  auto& free = free_ranges(range->second.small);
  // Joins a free neighbour of the same segment into the range before it.
  const auto join = [&](Ranges::iterator left, Ranges::iterator right) {
    free.erase({left->second.bytes, left->first});
    free.erase({right->second.bytes, right->first});
    left->second.bytes += right->second.bytes;
    left->second.last = right->second.last;
    ranges_.erase(right);
  };
  if (!range->second.last)
    if (const auto next = std::next(range); next->second.free) join(range, next);
  if (!range->second.first)
    if (const auto before = std::prev(range); before->second.free) {
      join(before, range);
      range = before;
    }
  free.emplace(range->second.bytes, range->first);
}

// Unmaps wholly free segments, largest first, until at most `held` bytes are mapped. The mutex is
// held.
void MemoryPool::release_segments_until(std::size_t held) noexcept {
  for (auto* free : {&free_large_, &free_small_})
    for (auto at = free->end(); at != free->begin() && use_.in_use + use_.cached > held;) {
      --at;
      const auto range = ranges_.find(at->second);
      if (!range->second.first || !range->second.last) continue;
      allow(range->first, range->second.bytes);
      munmap(range->first, range->second.bytes);
      use_.cached -= range->second.bytes;
      ranges_.erase(range);
      at = free->erase(at);
    }
}

void MemoryPool::trim() noexcept {
  const std::lock_guard lock(mutex_);
  release_segments_until(0);
}

MemoryUse MemoryPool::use() const noexcept {
  const std::lock_guard lock(mutex_);
  return use_;
}

}  // namespace annulus

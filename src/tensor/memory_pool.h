#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "tensor/device.h"

namespace annulus {

/// Host memory in segments from the system, handed out in ranges that are split and joined again,
/// so that steps of equal shapes run without page faults. Segments are aligned to huge pages and
/// ask for them. Held memory stays near the most that was in use at once. Safe from several
/// threads.
class MemoryPool {
 public:
  MemoryPool() = default;
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// `bytes` (at least 1) rounded up by rounded(), 64-byte aligned; null when the system has no
  /// more.
  std::byte* take(std::size_t bytes);
  void give(std::byte* data) noexcept;

  /// Gives free segments back to the system.
  void trim() noexcept;

  MemoryUse use() const noexcept;
  static std::size_t rounded(std::size_t bytes) noexcept;

 private:
  struct Range {
    std::size_t bytes;
    bool free;
    bool small;        // its segment is shared by small blocks only
    bool first, last;  // of its segment
  };
  using Ranges = std::map<std::byte*, Range>;

  std::byte* add_segment(std::size_t bytes, bool small);
  std::byte* carve(Ranges::iterator range, std::size_t bytes);
  void release_segments_until(std::size_t held) noexcept;
  std::set<std::pair<std::size_t, std::byte*>>& free_ranges(bool small) noexcept {
    return small ? free_small_ : free_large_;
  }

  mutable std::mutex mutex_;
  Ranges ranges_;                                                         // by address
  std::set<std::pair<std::size_t, std::byte*>> free_small_, free_large_;  // by size
  MemoryUse use_;
};

}  // namespace annulus

#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "core.h"

namespace fake_cann {

namespace {

constexpr std::size_t kArena = std::size_t{32} << 30;  // addresses of a device
constexpr std::size_t kPage = 4096,
                      kOffset =
                          64;  // blocks start 64 bytes into a page: no more alignment than promised

struct Allocation {
  std::size_t bytes;  // that may be used: rounded up to 32, with 32 more as on A2 and A3
  int device;         // -1: pinned
  int pins = 0;
};

struct Arena {
  std::byte* address = nullptr;  // PROT_NONE
  std::byte* shadow = nullptr;
  int file = -1;
  std::size_t next = 0, in_use = 0;
};

struct Memory {
  std::mutex mutex;
  std::map<int, Arena> arenas;
  std::map<const std::byte*, Allocation> live;
};

Memory& memory() {
  static Memory& made = *new Memory;
  return made;
}

Arena& arena_of(Memory& m, int device) {
  Arena& arena = m.arenas[device];
  if (arena.address != nullptr) return arena;
  arena.file = memfd_create("fake_cann", MFD_CLOEXEC);
  void* const shadow = arena.file < 0 || ftruncate(arena.file, kArena) != 0
                           ? MAP_FAILED
                           : mmap(nullptr, kArena, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_NORESERVE, arena.file, 0);
  void* const address =
      mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (shadow == MAP_FAILED || address == MAP_FAILED) std::abort();  // nothing can be emulated
  arena.shadow = static_cast<std::byte*>(shadow);
  arena.address = static_cast<std::byte*>(address);
  return arena;
}

std::size_t usable(std::size_t bytes) {
  return (bytes + 31) / 32 * 32 + 32;
}

const Arena* arena_at(const Memory& m, const std::byte* at, int* device = nullptr) {
  for (const auto& [number, arena] : m.arenas)
    if (at >= arena.address && at < arena.address + kArena) {
      if (device != nullptr) *device = number;
      return &arena;
    }
  return nullptr;
}

// The live allocation that holds `at`, or the end.
auto holder_of(Memory& m, const std::byte* at) {
  auto after = m.live.upper_bound(at);
  if (after == m.live.begin()) return m.live.end();
  --after;
  return at < after->first + after->second.bytes ? after : m.live.end();
}

bool release(Memory& m, const std::byte* at, bool pinned) {
  const auto found = m.live.find(at);
  if (found == m.live.end() || (found->second.device < 0) != pinned) return false;
  if (found->second.pins > 0) problem("memory freed while queued work uses it");
  if (pinned) {
    std::free(const_cast<std::byte*>(at) - kOffset);
  } else {
    Arena& arena = m.arenas[found->second.device];
    arena.in_use -= found->second.bytes;
    const auto offset = static_cast<std::size_t>(at - arena.address) - kOffset;
    fallocate(arena.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>((found->second.bytes + kOffset + kPage - 1) / kPage * kPage));
  }
  m.live.erase(found);
  return true;
}

}  // namespace

Region region_of(const void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto* const at = static_cast<const std::byte*>(address);
  Region region;
  if (arena_at(m, at, &region.device) != nullptr) {
    region.place = Place::Device;
  } else if (holder_of(m, at) != m.live.end()) {
    region.place = Place::Pinned;
  }
  return region;
}

void* allocate_device(int device, std::size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  Arena& arena = arena_of(m, device);
  const std::size_t wanted = usable(bytes), pages = (wanted + kOffset + kPage - 1) / kPage * kPage;
  if (bytes > settings().memory || arena.in_use + wanted > settings().memory ||
      arena.next + pages > kArena)
    return nullptr;
  std::byte* const at = arena.address + arena.next + kOffset;
  std::memset(arena.shadow + arena.next, 0xff, pages);
  arena.next += pages + kPage;
  arena.in_use += wanted;
  m.live[at] = {wanted, device};
  return at;
}

void* allocate_pinned(std::size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* const block = static_cast<std::byte*>(std::malloc(bytes + kOffset));
  if (block == nullptr) return nullptr;
  std::memset(block, 0xff, bytes + kOffset);
  m.live[block + kOffset] = {bytes, -1};
  return block + kOffset;
}

bool free_device(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return release(m, static_cast<std::byte*>(address), false);
}

bool free_pinned(void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return release(m, static_cast<std::byte*>(address), true);
}

std::size_t device_memory_in_use(int device) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  return arena_of(m, device).in_use;
}

std::byte* shadow_of(const void* address) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* const at = const_cast<std::byte*>(static_cast<const std::byte*>(address));
  const Arena* const arena = arena_at(m, at);
  return arena == nullptr ? at : arena->shadow + (at - arena->address);
}

std::string Pins::add(const void* address, std::size_t bytes, int device) {
  if (bytes == 0) return {};
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto* const at = static_cast<const std::byte*>(address);
  const auto holder = holder_of(m, at);
  if (holder == m.live.end())
    return arena_at(m, at) != nullptr ? "address of device memory that is not allocated (any more)"
                                      : "address of host memory that is not pinned";
  if (at + bytes > holder->first + holder->second.bytes)
    return "bytes beyond the end of an allocation";
  if (holder->second.device != device && holder->second.device >= 0)
    return "memory of device " + std::to_string(holder->second.device) + " used on device " +
           std::to_string(device);
  ++holder->second.pins;
  held_.push_back(holder->first);
  return {};
}

Pins::~Pins() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  for (const void* start : held_) {
    const auto found = m.live.find(static_cast<const std::byte*>(start));
    if (found != m.live.end()) --found->second.pins;
  }
}

}  // namespace fake_cann

// Memory of the emulated devices: addresses that the host cannot touch (PROT_NONE), with a second
// mapping of the same pages for the emulator's own use. Addresses are never used twice, so any use
// after a free is seen.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fake_cann {

enum class Place { Device, Pinned, Pageable };

struct Region {
  Place place = Place::Pageable;
  int device = -1;
};

/// Where an address lies; a device's whole address range counts as Device.
Region region_of(const void* address);

/// Fresh memory, full of NaN (all bits set); null: no more than `Settings::memory` in all.
void* allocate_device(int device, std::size_t bytes);
void* allocate_pinned(std::size_t bytes);
/// False: not the start of a live allocation. Memory that queued work uses is a problem().
bool free_device(void* address);
bool free_pinned(void* address);

std::size_t device_memory_in_use(int device);

/// Where the emulator reads and writes what lies at an address of a device; others as they are.
std::byte* shadow_of(const void* address);

/// Memory that a queued task uses. While one of these holds it, it must not be freed.
class Pins {
 public:
  Pins() = default;
  Pins(Pins&& other) noexcept : held_(std::move(other.held_)) { other.held_.clear(); }
  Pins& operator=(Pins&&) = delete;
  Pins(const Pins&) = delete;
  ~Pins();

  /// Nothing, or what is wrong with using these bytes on `device`.
  std::string add(const void* address, std::size_t bytes, int device);

 private:
  std::vector<const void*> held_;  // starts of allocations
};

}  // namespace fake_cann

#pragma once

#include <cstddef>
#include <memory>

#include "tensor/device.h"

namespace annulus {

/// Scratch memory of one stream that grows to what is asked and is reused: the bytes are the
/// caller's until the next call.
class Workspace {
 public:
  explicit Workspace(Device& device) noexcept : device_(&device) {}

  /// At least `bytes` bytes of device memory, 64-byte aligned, contents undefined. Throws
  /// OutOfMemory.
  std::byte* take(std::size_t bytes);

 private:
  Device* device_;
  std::shared_ptr<Buffer> buffer_;
};

}  // namespace annulus

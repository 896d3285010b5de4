// A device's memory and its order of work. It knows nothing of operations: the Platform hands those
// out. Host memory is tensor/host_device.h; others live in platform/.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace annulus {

class Device;
class Tensor;

/// A block of device memory; freed (or returned to its device's cache) by the last reference.
struct Buffer {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  Device* device = nullptr;
  bool writable = true;                         // false: a mapped file
  std::shared_ptr<const void> owner = nullptr;  // of adopted memory
};

/// An order of work on a device. The host's is immediate: work is done when a call returns.
class Stream {
 public:
  explicit Stream(Device& device) noexcept : device_(&device) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Device& device() const noexcept { return *device_; }

 private:
  Device* device_;
};

/// A point in a stream which another stream, or the host, can wait for. Empty: already reached.
struct Event {
  std::shared_ptr<void> native;
};

struct MemoryUse {
  std::size_t in_use = 0, cached = 0,
              peak = 0;  // bytes handed out, kept for reuse, and the most ever handed out
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string_view name() const noexcept = 0;  // "cpu", "ascend:0"
  virtual bool host_visible()
      const noexcept = 0;  // may the host read and write its memory in place?

  /// At least `bytes` bytes, 64-byte aligned, contents undefined. Throws OutOfMemory naming the
  /// size.
  virtual std::shared_ptr<Buffer> allocate(std::size_t bytes) = 0;

  /// Read-only memory of the host that `owner` keeps alive (a mapped file): in place where the
  /// host's memory is the device's, else a copy.
  virtual std::shared_ptr<Buffer> adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                        std::size_t bytes) = 0;

  virtual std::unique_ptr<Stream> make_stream() = 0;

  /// Copies elements between equal shapes; strides and dtypes may differ, one side may be host
  /// memory.
  virtual void copy(Stream& stream, const Tensor& from, Tensor& to) = 0;

  /// Sets every element to `value`, converted.
  virtual void fill(Stream& stream, Tensor& to, double value) = 0;

  virtual Event record(Stream& stream) = 0;
  virtual void wait(Stream& stream, const Event& event) = 0;

  /// Returns when the stream's work is done. Throws DeviceFailure when it fails or the deadline
  /// passes.
  virtual void synchronize(Stream& stream, int timeout_ms) = 0;

  virtual MemoryUse memory() const noexcept = 0;
};

}  // namespace annulus

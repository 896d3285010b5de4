#pragma once

#include <string>

#include "tensor/memory_pool.h"
#include "tensor/tensor.h"

namespace annulus {

/// Host memory with a caching allocator. Work is immediate: streams carry nothing, events are
/// always reached.
class HostDevice : public Device {
 public:
  /// `threads`: how many threads its operations may use (ranks that are threads share the cores).
  explicit HostDevice(int threads, std::string name = "cpu");
  ~HostDevice() override;
  HostDevice(const HostDevice&) = delete;
  HostDevice& operator=(const HostDevice&) = delete;

  std::string_view name() const noexcept override { return name_; }
  bool host_visible() const noexcept override { return true; }
  int threads() const noexcept { return threads_; }

  std::shared_ptr<Buffer> allocate(std::size_t bytes) override;
  std::shared_ptr<Buffer> adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                std::size_t bytes) override;
  std::unique_ptr<Stream> make_stream() override;
  void copy(Stream& stream, const Tensor& from, Tensor& to) override;
  void fill(Stream& stream, Tensor& to, double value) override;
  Event record(Stream&) override { return {}; }
  void wait(Stream&, const Event&) override {}
  void synchronize(Stream&, int) override {}
  MemoryUse memory() const noexcept override;

  /// Gives cached blocks back to the system.
  void trim();

 private:
  std::string name_;
  int threads_;
  std::shared_ptr<MemoryPool> pool_;  // shared with live buffers, which may outlive the device
};

/// Threads that work on this stream may use. The stream must be a HostDevice's.
int host_threads(const Stream& stream);

}  // namespace annulus

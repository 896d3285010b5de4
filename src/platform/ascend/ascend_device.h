#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <string>

#include "platform/ascend/ascend_memory.h"
#include "tensor/tensor.h"

namespace annulus::ascend {

/// Pinned host memory through which copies go: the device reads pageable memory at a time of its
/// own.
class Staging {
 public:
  explicit Staging(std::shared_ptr<const DeviceContext> context) : context_(std::move(context)) {}
  ~Staging();  // after the device's work
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  struct Block {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
  };
  Block take(std::size_t bytes);
  void give(Block block) noexcept;
  void give_after(Block block, cann::aclrtStream stream);  // once what it has queued is done

 private:
  void collect_oldest();

  std::shared_ptr<const DeviceContext> context_;
  std::mutex mutex_;
  std::multimap<std::size_t, std::byte*> free_;
  std::deque<std::pair<Block, std::shared_ptr<RecordedEvent>>> queued_;
  std::size_t queued_bytes_ = 0;
};

/// How often data crossed between host and device, and the host waited for the device.
struct Traffic {
  std::uint64_t to_device = 0, to_host = 0, waits = 0;
};

class AscendDevice final : public Device {
 public:
  AscendDevice(std::shared_ptr<const Cann> cann, int index);
  ~AscendDevice() override;

  std::string_view name() const noexcept override { return name_; }
  bool host_visible() const noexcept override { return false; }
  std::shared_ptr<Buffer> allocate(std::size_t bytes) override;
  std::shared_ptr<Buffer> adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                std::size_t bytes) override;
  std::unique_ptr<Stream> make_stream() override;
  void copy(Stream& stream, const Tensor& from, Tensor& to) override;
  void fill(Stream& stream, Tensor& to, double value) override;
  Event record(Stream& stream) override;
  void wait(Stream& stream, const Event& event) override;
  void synchronize(Stream& stream, int timeout_ms) override;
  MemoryUse memory() const noexcept override { return memory_->use(); }

  const DeviceContext& context() const noexcept { return *context_; }
  const CannApi& api() const noexcept { return context_->api(); }
  Traffic traffic() const noexcept;

  /// Bytes that are free on the device.
  std::size_t free_memory() const noexcept;

 private:
  std::shared_ptr<Buffer> buffer_of(std::byte* data, std::size_t bytes);
  void upload(Stream& stream, const Tensor& from, Tensor& to);
  void download(Stream& stream, const Tensor& from, Tensor& to);

  std::string name_;
  std::shared_ptr<const DeviceContext> context_;
  std::shared_ptr<AscendMemory> memory_;  // live buffers and streams share it
  Staging staging_;
  std::atomic<std::uint64_t> to_device_ = 0, to_host_ = 0, waits_ = 0;
};

class AscendStream final : public Stream {
 public:
  AscendStream(AscendDevice& device, std::shared_ptr<const DeviceContext> context,
               std::shared_ptr<AscendMemory> memory);
  ~AscendStream() override;
  AscendDevice& ascend() const noexcept { return static_cast<AscendDevice&>(device()); }
  cann::aclrtStream native() const noexcept { return native_; }

 private:
  std::shared_ptr<const DeviceContext> context_;
  std::shared_ptr<AscendMemory> memory_;
  cann::aclrtStream native_ = nullptr;
};

/// Throws InvalidRequest for a stream of another kind of device.
AscendStream& ascend_stream(Stream& stream);

}  // namespace annulus::ascend

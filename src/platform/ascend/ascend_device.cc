#include "platform/ascend/ascend_device.h"

#include <algorithm>
#include <cstring>

#include "platform/ascend/aclnn.h"
#include "tensor/strided_copy.h"

namespace annulus::ascend {

namespace {

constexpr std::size_t kMostQueued = std::size_t{64} << 20;  // bytes of staging under way
constexpr int kDownloadTimeoutMs = 600'000;  // a copy to the host ends all work queued before it

bool lies_on(const Tensor& x, const Device& device) noexcept {
  return &x.device() == &device;
}

// The elements of a host tensor's shape and some dtype over memory of the caller.
Tensor over(std::byte* data, std::size_t bytes, const Shape& shape, DType dtype, Device& host) {
  return Tensor::over(std::make_shared<Buffer>(Buffer{data, bytes, &host}), 0, shape, dtype);
}

}  // namespace

Staging::~Staging() {
  context_->try_enter();
  for (const auto& [block, event] : queued_) context_->api().aclrtFreeHost(block.data);
  for (const auto& [bytes, data] : free_) context_->api().aclrtFreeHost(data);
}

Staging::Block Staging::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  while (queued_bytes_ > kMostQueued) collect_oldest();
  const auto found = free_.lower_bound(bytes);
  if (found != free_.end() && found->first <= std::max<std::size_t>(2 * bytes, 4096)) {
    const Block block{found->second, found->first};
    free_.erase(found);
    return block;
  }
  void* data = nullptr;
  const std::size_t size = AscendMemory::rounded(bytes);
  context_->cann().check(context_->api().aclrtMallocHost(&data, size), "aclrtMallocHost");
  return {static_cast<std::byte*>(data), size};
}

void Staging::give(Block block) noexcept {
  const std::lock_guard lock(mutex_);
  free_.emplace(block.bytes, block.data);
}

void Staging::give_after(Block block, cann::aclrtStream stream) {
  std::shared_ptr<RecordedEvent> event;
  try {
    event = std::make_shared<RecordedEvent>(context_, stream);
  } catch (...) {  // no way to know when, but by waiting for all
    context_->api().aclrtSynchronizeStream(stream);
    give(block);
    throw;
  }
  const std::lock_guard lock(mutex_);
  queued_.emplace_back(block, event);
  queued_bytes_ += block.bytes;
}

void Staging::collect_oldest() {
  const auto [block, event] = queued_.front();
  event->synchronize();
  queued_.pop_front();
  queued_bytes_ -= block.bytes;
  free_.emplace(block.bytes, block.data);
}

AscendDevice::AscendDevice(std::shared_ptr<const Cann> cann, int index)
    : name_("ascend:" + std::to_string(index)),
      context_(std::make_shared<DeviceContext>(std::move(cann), index)),
      memory_(std::make_shared<AscendMemory>(context_)),
      staging_(context_) {}

AscendDevice::~AscendDevice() = default;

std::shared_ptr<Buffer> AscendDevice::buffer_of(std::byte* data, std::size_t bytes) {
  return {new Buffer{data, AscendMemory::rounded(bytes), this}, [memory = memory_](Buffer* buffer) {
            memory->give(buffer->data);
            delete buffer;
          }};
}

std::shared_ptr<Buffer> AscendDevice::allocate(std::size_t bytes) {
  return buffer_of(memory_->take(bytes), bytes);
}

std::shared_ptr<Buffer> AscendDevice::adopt(std::shared_ptr<const void>, const std::byte* data,
                                            std::size_t bytes) {
  std::shared_ptr<Buffer> buffer = buffer_of(memory_->take_fresh(bytes), bytes);
  buffer->writable = false;
  if (bytes == 0) return buffer;
  context_->cann().check(
      api().aclrtMemcpy(buffer->data, bytes, data, bytes, cann::ACL_MEMCPY_HOST_TO_DEVICE),
      "aclrtMemcpy");
  ++to_device_;
  return buffer;
}

std::unique_ptr<Stream> AscendDevice::make_stream() {
  return std::make_unique<AscendStream>(*this, context_, memory_);
}

void AscendDevice::copy(Stream& stream, const Tensor& from, Tensor& to) {
  require(from.shape() == to.shape(), ErrorCode::InvalidRequest, "copy: wanted shape ", to.shape(),
          ", found ", from.shape());
  require(to.buffer()->writable, ErrorCode::InvalidRequest,
          "copy: wanted memory that may be written, found a mapped file");
  if (from.elements() == 0) return;
  const bool from_here = lies_on(from, *this), to_here = lies_on(to, *this);
  require((from_here || from.device().host_visible()) && (to_here || to.device().host_visible()),
          ErrorCode::InvalidRequest, "copy: wanted memory of ", name_, " or the host's, found ",
          from.device().name(), " to ", to.device().name());
  if (!from_here && !to_here) return strided_copy(1, from, to);
  context_->enter();
  if (!from_here) return upload(stream, from, to);
  if (!to_here) return download(stream, from, to);
  if (from.dtype() != to.dtype() || !from.is_contiguous() || !to.is_contiguous())
    return Aclnn(stream).copy(from, to);
  context_->cann().check(
      api().aclrtMemcpyAsync(to.address(), to.bytes(), from.address(), from.bytes(),
                             cann::ACL_MEMCPY_DEVICE_TO_DEVICE, ascend_stream(stream).native()),
      "aclrtMemcpyAsync");
}

void AscendDevice::upload(Stream& stream, const Tensor& from, Tensor& to) {
  if (!to.is_contiguous()) {
    Tensor whole = Tensor::empty(to.shape(), to.dtype(), *this);
    upload(stream, from, whole);
    return Aclnn(stream).copy(whole, to);
  }
  const cann::aclrtStream native = ascend_stream(stream).native();
  const Staging::Block block = staging_.take(to.bytes());
  try {
    Tensor staged = over(block.data, block.bytes, to.shape(), to.dtype(), from.device());
    strided_copy(1, from, staged);
  } catch (...) {
    staging_.give(block);
    throw;
  }
  ++to_device_;
  const int status = api().aclrtMemcpyAsync(to.address(), to.bytes(), block.data, to.bytes(),
                                            cann::ACL_MEMCPY_HOST_TO_DEVICE, native);
  if (status != cann::ACL_SUCCESS) staging_.give(block);
  context_->cann().check(status, "aclrtMemcpyAsync");
  staging_.give_after(block, native);
}

void AscendDevice::download(Stream& stream, const Tensor& from, Tensor& to) {
  if (!from.is_contiguous()) {
    Tensor whole = Tensor::empty(from.shape(), from.dtype(), *this);
    Aclnn(stream).copy(from, whole);
    return download(stream, whole, to);
  }
  const Staging::Block block = staging_.take(from.bytes());
  const int status =
      api().aclrtMemcpyAsync(block.data, from.bytes(), from.address(), from.bytes(),
                             cann::ACL_MEMCPY_DEVICE_TO_HOST, ascend_stream(stream).native());
  if (status != cann::ACL_SUCCESS) staging_.give(block);
  context_->cann().check(status, "aclrtMemcpyAsync");
  ++to_host_;
  try {
    synchronize(stream, kDownloadTimeoutMs);
  } catch (...) {
    staging_.give_after(block, ascend_stream(stream).native());
    throw;
  }
  const Tensor staged = over(block.data, block.bytes, from.shape(), from.dtype(), to.device());
  strided_copy(1, staged, to);
  staging_.give(block);
}

void AscendDevice::fill(Stream& stream, Tensor& to, double value) {
  if (to.elements() == 0) return;
  context_->enter();
  if (value != 0 || !to.is_contiguous()) return Aclnn(stream).fill(to, value);
  context_->cann().check(api().aclrtMemsetAsync(to.address(), to.bytes(), 0, to.bytes(),
                                                ascend_stream(stream).native()),
                         "aclrtMemsetAsync");
}

Event AscendDevice::record(Stream& stream) {
  context_->enter();
  return {std::make_shared<RecordedEvent>(context_, ascend_stream(stream).native())};
}

void AscendDevice::wait(Stream& stream, const Event& event) {
  if (event.native == nullptr) return;
  context_->enter();
  std::static_pointer_cast<RecordedEvent>(event.native)->make_wait(ascend_stream(stream).native());
}

void AscendDevice::synchronize(Stream& stream, int timeout_ms) {
  context_->enter();
  ++waits_;
  const cann::aclrtStream native = ascend_stream(stream).native();
  const int status = api().aclrtSynchronizeStreamWithTimeout != nullptr
                         ? api().aclrtSynchronizeStreamWithTimeout(native, timeout_ms)
                         : api().aclrtSynchronizeStream(native);
  require(status != cann::ACL_ERROR_RT_WAIT_TIMEOUT, ErrorCode::DeviceFailure, name_,
          ": wanted its work done within ", timeout_ms, " ms, found it still running");
  context_->cann().check(status, "aclrtSynchronizeStream");
}

Traffic AscendDevice::traffic() const noexcept {
  return {to_device_.load(), to_host_.load(), waits_.load()};
}

std::size_t AscendDevice::free_memory() const noexcept {
  std::size_t free = 0, total = 0;
  if (!context_->try_enter() ||
      api().aclrtGetMemInfo(cann::ACL_HBM_MEM, &free, &total) != cann::ACL_SUCCESS)
    return 0;
  return free + memory_->use().cached;
}

AscendStream::AscendStream(AscendDevice& device, std::shared_ptr<const DeviceContext> context,
                           std::shared_ptr<AscendMemory> memory)
    : Stream(device), context_(std::move(context)), memory_(std::move(memory)) {
  context_->enter();
  context_->cann().check(context_->api().aclrtCreateStream(&native_), "aclrtCreateStream");
  try {
    memory_->add_stream(native_);
  } catch (...) {
    context_->api().aclrtDestroyStream(native_);
    throw;
  }
}

AscendStream::~AscendStream() {
  context_->try_enter();
  context_->api().aclrtSynchronizeStream(native_);
  memory_->remove_stream(native_);
  context_->try_enter();
  context_->api().aclrtDestroyStream(native_);
}

AscendStream& ascend_stream(Stream& stream) {
  auto* const ascend = dynamic_cast<AscendStream*>(&stream);
  require(ascend != nullptr, ErrorCode::InvalidRequest, "stream: wanted one of an Ascend device");
  return *ascend;
}

}  // namespace annulus::ascend

#include "tensor/host_device.h"

#include <algorithm>

#include "base/parallel_for.h"
#include "tensor/strided_copy.h"

namespace annulus {

HostDevice::HostDevice(int threads, std::string name)
    : name_(std::move(name)),
      threads_(std::max(threads, 1)),
      pool_(std::make_shared<MemoryPool>()) {}

HostDevice::~HostDevice() = default;

std::shared_ptr<Buffer> HostDevice::allocate(std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 62;
  std::byte* data = bytes < kMost ? pool_->take(bytes) : nullptr;
  if (data == nullptr)
    throw Error(ErrorCode::OutOfMemory,
                text_of("memory: wanted ", bytes, " bytes, found too little free (", name_, ", ",
                        memory().in_use, " bytes in use)"));
  return {new Buffer{data, MemoryPool::rounded(bytes), this}, [pool = pool_](Buffer* buffer) {
            pool->give(buffer->data);
            delete buffer;
          }};
}

std::shared_ptr<Buffer> HostDevice::adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                          std::size_t bytes) {
  return std::make_shared<Buffer>(
      Buffer{const_cast<std::byte*>(data), bytes, this, false, std::move(owner)});
}

std::unique_ptr<Stream> HostDevice::make_stream() {
  return std::make_unique<Stream>(*this);
}

void HostDevice::copy(Stream&, const Tensor& from, Tensor& to) {
  strided_copy(threads_, from, to);
}

void HostDevice::fill(Stream&, Tensor& to, double value) {
  strided_fill(threads_, to, value);
}

MemoryUse HostDevice::memory() const noexcept {
  return pool_->use();
}

void HostDevice::trim() {
  pool_->trim();
}

int host_threads(const Stream& stream) {
  const auto* host = dynamic_cast<const HostDevice*>(&stream.device());
  require(host != nullptr, ErrorCode::InvalidRequest,
          "stream: wanted one of the host, found one of ", stream.device().name());
  return host->threads();
}

}  // namespace annulus

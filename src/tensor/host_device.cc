#include "tensor/host_device.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include "base/parallel_for.h"
#include "tensor/strided_copy.h"

namespace annulus {

namespace {
constexpr std::size_t kAlignment = 64;

// Sizes are rounded so that blocks fit one another: to 64 bytes when small, else to an eighth of
// the power of two below.
std::size_t rounded(std::size_t bytes) noexcept {
  std::size_t step = kAlignment;
  while (step * 16 <= bytes) step *= 2;
  return (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
}
}  // namespace

struct HostDevice::Cache {
  std::mutex mutex;
  std::multimap<std::size_t, std::byte*> free_blocks;
  MemoryUse use;

  ~Cache() { release_until(0); }

  // Frees the largest blocks until at most `bytes` stay cached. The caller holds the mutex, or is
  // the destructor.
  void release_until(std::size_t bytes) noexcept {
    while (use.cached > bytes && !free_blocks.empty()) {
      const auto last = std::prev(free_blocks.end());
      use.cached -= last->first;
      std::free(last->second);
      free_blocks.erase(last);
    }
  }

  std::byte* take(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    std::byte* data = nullptr;
    if (const auto found = free_blocks.find(bytes); found != free_blocks.end()) {
      data = found->second;
      free_blocks.erase(found);
      use.cached -= bytes;
    } else {
      // Memory held stays near the most that was ever in use at once: cached blocks make way for a
      // size they do not fit.
      const std::size_t most = std::max(use.peak, use.in_use + bytes);
      release_until(most - (use.in_use + bytes));
      data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
      if (data == nullptr) {
        release_until(0);
        data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
      }
    }
    if (data == nullptr) return nullptr;
    use.in_use += bytes;
    use.peak = std::max(use.peak, use.in_use);
    return data;
  }

  void give(std::byte* data, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex);
    use.in_use -= bytes;
    try {
      free_blocks.emplace(bytes, data);
      use.cached += bytes;
    } catch (const std::bad_alloc&) {
      std::free(data);
    }
  }
};

HostDevice::HostDevice(int threads, std::string name)
    : name_(std::move(name)), threads_(std::max(threads, 1)), cache_(std::make_shared<Cache>()) {}

HostDevice::~HostDevice() = default;

std::shared_ptr<Buffer> HostDevice::allocate(std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 62;
  const std::size_t size = bytes < kMost ? rounded(bytes) : 0;
  std::byte* data = size == 0 ? nullptr : cache_->take(size);
  if (data == nullptr)
    throw Error(ErrorCode::OutOfMemory,
                text_of("memory: wanted ", bytes, " bytes, found too little free (", name_, ", ",
                        memory().in_use, " bytes in use)"));
  return {new Buffer{data, size, this}, [cache = cache_](Buffer* buffer) {
            cache->give(buffer->data, buffer->bytes);
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
  const std::lock_guard lock(cache_->mutex);
  return cache_->use;
}

void HostDevice::trim() {
  const std::lock_guard lock(cache_->mutex);
  cache_->release_until(0);
}

int host_threads(const Stream& stream) {
  const auto* host = dynamic_cast<const HostDevice*>(&stream.device());
  require(host != nullptr, ErrorCode::InvalidRequest,
          "stream: wanted one of the host, found one of ", stream.device().name());
  return host->threads();
}

}  // namespace annulus

#include "platform/reference/reference_platform.h"

#include <array>

#include "attention/reference.h"
#include "base/parallel_for.h"
#include "platform/host_memory.h"
#include "platform/reference/ops.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

class ReferencePlatform final : public Platform {
 public:
  explicit ReferencePlatform(int threads) : device_(threads, "reference") {}

  std::string_view name() const noexcept override { return "reference"; }
  std::string description() const override {
    return text_of("plain loops in double, ", device_.threads(), " threads");
  }
  std::string isa() const override { return {}; }
  int threads() const noexcept override { return device_.threads(); }
  std::span<Device* const> devices() const noexcept override { return devices_; }
  const OpTable& ops() const noexcept override { return reference::ops(); }
  std::span<const AttentionBackend* const> attention() const noexcept override {
    return attention_;
  }
  const AttentionBackend* default_ring_attention_backend() const noexcept override {
    return attention_.front();
  }
  DType default_dtype(DType) const noexcept override { return DType::F64; }
  bool supports(DType compute) const noexcept override { return is_floating(compute); }
  DType wide_dtype() const noexcept override { return DType::F64; }
  std::size_t free_memory() const noexcept override { return free_host_memory(); }

 private:
  HostDevice device_;
  std::array<Device*, 1> devices_ = {&device_};
  std::array<const AttentionBackend*, 1> attention_ = {&reference_attention()};
};

}  // namespace

std::unique_ptr<Platform> make_reference_platform(const PlatformOptions& options) {
  return std::make_unique<ReferencePlatform>(options.threads > 0 ? options.threads
                                                                 : available_cores());
}

}  // namespace annulus

#include "platform/cpu/cpu_platform.h"

#include <array>

#include "base/environment.h"
#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/onednn.h"
#include "platform/cpu/onednn_softmax.h"
#include "platform/cpu/ops.h"
#include "platform/cpu/peak.h"
#include "platform/host_memory.h"
#include "platform/math_attention.h"

namespace annulus {

namespace {

OpTable onednn_ops() noexcept {
  OpTable ops = cpu::ops();
  ops.softmax = cpu::onednn_softmax;
  return ops;
}

class CpuPlatform final : public Platform {
 public:
  CpuPlatform(int threads, Isa isa)
      : device_(threads, isa),
        math_(cpu::ops()),
        onednn_("onednn", onednn_ops(), "returns no log-sum-exp"),
        flash_(flash_attention(isa)),
        flash_int8_(flash_int8_attention(isa)) {}

  std::string_view name() const noexcept override { return "cpu"; }
  std::string description() const override {
    return text_of(name_of(device_.isa()), ", ", device_.threads(),
                   device_.threads() == 1 ? " thread, " : " threads, ", "oneDNN ",
                   cpu::onednn_version());
  }
  std::string isa() const override { return std::string(name_of(device_.isa())); }
  int threads() const noexcept override { return device_.threads(); }
  std::span<Device* const> devices() const noexcept override { return devices_; }
  const OpTable& ops() const noexcept override { return cpu::ops(); }
  std::span<const AttentionBackend* const> attention() const noexcept override {
    return attention_;
  }
  const AttentionBackend* default_ring_attention_backend() const noexcept override {
    return &flash_;
  }
  DType default_dtype(DType weights) const noexcept override {
    return weights == DType::BF16 && device_.has_bf16_products() ? DType::BF16 : DType::F32;
  }
  bool supports(DType compute) const noexcept override {
    return compute == DType::F32 || compute == DType::BF16 || compute == DType::F16;
  }
  DType wide_dtype() const noexcept override { return DType::F32; }
  std::vector<PeakRate> measure_peaks(double seconds) const override {
    return measure_cpu_peaks(device_.threads(), seconds);
  }
  std::size_t free_memory() const noexcept override { return free_host_memory(); }

 private:
  cpu::CpuDevice device_;
  MathAttention math_;
  MathAttention onednn_;
  const AttentionBackend& flash_;
  const AttentionBackend& flash_int8_;
  std::array<Device*, 1> devices_ = {&device_};
  std::array<const AttentionBackend*, 4> attention_ = {&flash_, &onednn_, &math_, &flash_int8_};
};

}  // namespace

std::optional<std::string> probe_cpu() {
  return std::nullopt;
}

std::string onednn_library() {
  return cpu::onednn_version();
}

std::unique_ptr<Platform> make_cpu_platform(const PlatformOptions& options) {
  const Isa isa = chosen_isa();
  if (!environment("ANNULUS_ISA").empty()) cpu::limit_onednn(isa);
  return std::make_unique<CpuPlatform>(options.threads > 0 ? options.threads : available_cores(),
                                       isa);
}

}  // namespace annulus

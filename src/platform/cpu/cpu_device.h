#pragma once

#include <memory>

#include "platform/cpu/kernels.h"
#include "tensor/host_device.h"

namespace annulus::cpu {

class OneDnn;

/// Host memory with what the operations of the cpu platform keep between calls: the kernels of its
/// instruction set, and oneDNN with the primitives made so far.
class CpuDevice final : public HostDevice {
 public:
  CpuDevice(int threads, Isa isa);
  ~CpuDevice() override;

  /// As HostDevice's, with our kernels where f32, bf16 and f16 are converted into one another.
  void copy(Stream& stream, const Tensor& from, Tensor& to) override;

  Isa isa() const noexcept { return isa_; }
  const Kernels& kernels() const noexcept { return kernels_; }
  OneDnn& onednn() const noexcept { return *onednn_; }

  /// Does this CPU multiply bf16 in hardware? Where it does not, products are f32 on widened
  /// elements.
  bool has_bf16_products() const noexcept { return isa_ >= Isa::Avx512Bf16; }

 private:
  Isa isa_;
  const Kernels& kernels_;
  std::unique_ptr<OneDnn> onednn_;
};

/// The device of a stream. Throws InvalidRequest when it is not one of the cpu platform.
CpuDevice& cpu_device(Stream& stream);

}  // namespace annulus::cpu

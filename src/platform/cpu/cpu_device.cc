#include "platform/cpu/cpu_device.h"

#include "base/parallel_for.h"
#include "platform/cpu/onednn.h"

namespace annulus::cpu {

CpuDevice::CpuDevice(int threads, Isa isa)
    : HostDevice(threads),
      isa_(isa),
      kernels_(kernels_for(isa)),
      onednn_(std::make_unique<OneDnn>(this->threads())) {}

CpuDevice::~CpuDevice() = default;

void CpuDevice::copy(Stream& stream, const Tensor& from, Tensor& to) {
  const auto ours = [](const Tensor& x) {
    return x.dtype() == DType::F32 || x.dtype() == DType::BF16 || x.dtype() == DType::F16;
  };
  if (from.dtype() == to.dtype() || !ours(from) || !ours(to) || from.shape() != to.shape() ||
      !to.buffer()->writable)
    return HostDevice::copy(stream, from, to);
  const Walk walk({&to, &from});
  parallel_for(threads(), walk.tiles(), walk.grain(), [&](std::int64_t begin, std::int64_t end) {
    kernels_.activate(walk, Activation::None, begin, end);
  });
}

CpuDevice& cpu_device(Stream& stream) {
  auto* device = dynamic_cast<CpuDevice*>(&stream.device());
  require(device != nullptr, ErrorCode::InvalidRequest,
          "stream: wanted one of the cpu platform, found one of ", stream.device().name());
  return *device;
}

}  // namespace annulus::cpu

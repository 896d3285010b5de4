#include "platform/cpu/cpu_device.h"

#include "platform/cpu/onednn.h"

namespace annulus::cpu {

CpuDevice::CpuDevice(int threads, Isa isa)
    : HostDevice(threads),
      isa_(isa),
      kernels_(kernels_for(isa)),
      onednn_(std::make_unique<OneDnn>(this->threads())) {}

CpuDevice::~CpuDevice() = default;

CpuDevice& cpu_device(Stream& stream) {
  auto* device = dynamic_cast<CpuDevice*>(&stream.device());
  require(device != nullptr, ErrorCode::InvalidRequest,
          "stream: wanted one of the cpu platform, found one of ", stream.device().name());
  return *device;
}

}  // namespace annulus::cpu

#include "tensor/host_ints.h"

#include <algorithm>

#include "tensor/host_device.h"

namespace annulus {

Tensor host_ints(std::span<const std::int32_t> values) {
  const auto host = std::make_shared<HostDevice>(1, "host");
  const std::shared_ptr<Buffer> buffer = host->allocate(values.size_bytes());
  const std::shared_ptr<Buffer> kept(new Buffer(*buffer),
                                     [host, buffer](const Buffer* copy) noexcept { delete copy; });
  Tensor made = Tensor::over(kept, 0, {static_cast<std::int64_t>(values.size())}, DType::I32);
  std::copy(values.begin(), values.end(), made.data<std::int32_t>());
  return made;
}

}  // namespace annulus

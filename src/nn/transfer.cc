#include "nn/transfer.h"

#include <algorithm>

#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr int kTransferTimeoutMs = 30000;

template <class T>
Tensor upload(const Context& ctx, std::span<const T> values, const Shape& shape, DType dtype) {
  require(static_cast<std::int64_t>(values.size()) == shape.elements(), ErrorCode::InvalidRequest,
          "to_device: wanted ", shape.elements(), " values for ", shape, ", found ", values.size());
  HostDevice host(1, "staging");
  Tensor staged = Tensor::empty(shape, kDTypeOf<T>, host);
  std::copy(values.begin(), values.end(), staged.data<T>());
  Tensor made = Tensor::empty(shape, dtype, ctx.device);
  copy(ctx.stream, staged, made);
  if (!ctx.device.host_visible())
    ctx.device.synchronize(ctx.stream, kTransferTimeoutMs);  // `staged` must outlive the copy
  return made;
}

}  // namespace

Tensor to_device(const Context& ctx, std::span<const double> values, const Shape& shape,
                 DType dtype) {
  return upload(ctx, values, shape, dtype);
}

Tensor to_device(const Context& ctx, std::span<const float> values, const Shape& shape,
                 DType dtype) {
  return upload(ctx, values, shape, dtype);
}

Tensor to_device(const Context& ctx, std::span<const std::int32_t> values, const Shape& shape) {
  return upload(ctx, values, shape, DType::I32);
}

std::vector<float> to_host(const Context& ctx, const Tensor& x) {
  HostDevice host(1, "staging");
  Tensor staged = Tensor::empty(x.shape(), DType::F32, host);
  copy(ctx.stream, x, staged);
  ctx.device.synchronize(ctx.stream, kTransferTimeoutMs);
  const float* data = staged.data<float>();
  return {data, data + x.elements()};
}

}  // namespace annulus

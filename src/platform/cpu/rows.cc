#include "platform/cpu/rows.h"

namespace annulus::cpu {

void check_dtype(const Tensor& x) {
  const DType dtype = x.dtype();
  require(dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F16,
          ErrorCode::Unsupported, "cpu: wanted f32, bf16 or f16, found ", name_of(dtype), " ",
          x.shape());
}

Rows::Rows(const Tensor& x) : data_(x.address()), dtype_(x.dtype()), length_(x.shape()[-1]) {
  check_dtype(x);
  require(x.stride(-1) == 1 || length_ <= 1, ErrorCode::InvalidRequest,
          "cpu: wanted a contiguous last axis, found stride ", x.stride(-1), " in ", x.shape());
  const auto size = static_cast<std::int64_t>(size_of(dtype_));
  axes_ = 0;
  count_ = 1;
  for (int axis = 0; axis + 1 < x.shape().rank(); ++axis) {
    const std::int64_t extent = x.shape()[axis], stride = x.stride(axis) * size;
    count_ *= extent;
    if (extent == 1) continue;
    const auto last = static_cast<std::size_t>(axes_ - 1);
    if (axes_ > 0 && stride_[last] == extent * stride) {
      extent_[last] *= extent;
      stride_[last] = stride;
      continue;
    }
    extent_[static_cast<std::size_t>(axes_)] = extent;
    stride_[static_cast<std::size_t>(axes_++)] = stride;
  }
  if (axes_ == 0) {
    axes_ = 1;
    extent_[0] = 1;
    stride_[0] = length_ * size;
  }
}

Rows::Rows(const Tensor* x, const Shape& shape) {
  if (x != nullptr) *this = Rows(x->expand(shape));
}

Source vector_source(const Tensor* x) {
  return x == nullptr ? Source{} : Rows(*x).source(0);
}

}  // namespace annulus::cpu

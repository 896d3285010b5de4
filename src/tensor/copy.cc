#include "tensor/copy.h"

namespace annulus {

Tensor contiguous(Stream& stream, const Tensor& x) {
  return x.is_contiguous() ? x : clone(stream, x);
}

Tensor cast(Stream& stream, const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor made = Tensor::empty(x.shape(), dtype, stream.device());
  stream.device().copy(stream, x, made);
  return made;
}

Tensor clone(Stream& stream, const Tensor& x) {
  Tensor made = Tensor::empty(x.shape(), x.dtype(), stream.device());
  stream.device().copy(stream, x, made);
  return made;
}

void copy(Stream& stream, const Tensor& from, Tensor& to) {
  stream.device().copy(stream, from, to);
}

}  // namespace annulus

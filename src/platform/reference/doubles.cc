#include "platform/reference/doubles.h"

#include "tensor/copy.h"

namespace annulus::reference {

Doubles room(Stream& stream, const Shape& shape) {
  return Doubles(Tensor::empty(shape, DType::F64, stream.device()));
}

Doubles doubles(Stream& stream, const Tensor& x) {
  Tensor copied = Tensor::empty(x.shape(), DType::F64, stream.device());
  copy(stream, x, copied);
  return Doubles(std::move(copied));
}

Doubles doubles(Stream& stream, const Tensor* x) {
  return x == nullptr ? Doubles() : doubles(stream, *x);
}

Doubles doubles(Stream& stream, const Tensor* x, const Shape& shape) {
  return x == nullptr ? Doubles() : doubles(stream, x->expand(shape));
}

void store(Stream& stream, const Doubles& result, Tensor& out) {
  copy(stream, result.tensor(), out);
}

double dot(const double* a, const double* b, std::int64_t count) noexcept {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace annulus::reference

#include "platform/reference/values.h"

#include "tensor/copy.h"

namespace annulus::reference {

template <class Real>
Values<Real> room(Stream& stream, const Shape& shape) {
  return Values<Real>(Tensor::empty(shape, kDTypeOf<Real>, stream.device()));
}

template <class Real>
Values<Real> values(Stream& stream, const Tensor& x) {
  Tensor copied = Tensor::empty(x.shape(), kDTypeOf<Real>, stream.device());
  copy(stream, x, copied);
  return Values<Real>(std::move(copied));
}

template <class Real>
Values<Real> values(Stream& stream, const Tensor* x) {
  return x == nullptr ? Values<Real>() : values<Real>(stream, *x);
}

template <class Real>
Values<Real> values(Stream& stream, const Tensor* x, const Shape& shape) {
  return x == nullptr ? Values<Real>() : values<Real>(stream, x->expand(shape));
}

template <class Real>
void store(Stream& stream, const Values<Real>& result, Tensor& out) {
  copy(stream, result.tensor(), out);
}

template Values<double> room<double>(Stream&, const Shape&);
template Values<double> values<double>(Stream&, const Tensor&);
template Values<double> values<double>(Stream&, const Tensor*);
template Values<double> values<double>(Stream&, const Tensor*, const Shape&);
template void store<double>(Stream&, const Values<double>&, Tensor&);

template Values<float> room<float>(Stream&, const Shape&);
template Values<float> values<float>(Stream&, const Tensor&);
template Values<float> values<float>(Stream&, const Tensor*);
template Values<float> values<float>(Stream&, const Tensor*, const Shape&);
template void store<float>(Stream&, const Values<float>&, Tensor&);

}  // namespace annulus::reference

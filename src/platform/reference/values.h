#pragma once

#include "tensor/tensor.h"

namespace annulus::reference {

/// The elements of a tensor, row-major and contiguous, in the arithmetic's type: double, or float
/// for the plain version of an operation in f32.
template <class Real>
class Values {
 public:
  Values() = default;
  explicit Values(Tensor values)
      : values_(std::move(values)), data_(values_.template data<Real>()) {}
  bool present() const noexcept { return data_ != nullptr; }
  Real* data() const noexcept { return data_; }
  Real& operator[](std::int64_t i) const noexcept { return data_[i]; }
  const Tensor& tensor() const noexcept { return values_; }

 private:
  Tensor values_;
  Real* data_ = nullptr;
};

/// A copy of x.
template <class Real>
Values<Real> values(Stream& stream, const Tensor& x);

/// A copy of *x; absent when x is null.
template <class Real>
Values<Real> values(Stream& stream, const Tensor* x);

/// A copy of *x repeated along its axes of extent 1 to `shape`; absent when x is null.
template <class Real>
Values<Real> values(Stream& stream, const Tensor* x, const Shape& shape);

/// Room for a result of that shape.
template <class Real>
Values<Real> room(Stream& stream, const Shape& shape);

/// Writes a result into `out`, converted to its dtype.
template <class Real>
void store(Stream& stream, const Values<Real>& result, Tensor& out);

/// Items of a loop, `work` multiply-adds each, that are worth a thread.
inline std::int64_t worth_a_thread(std::int64_t work) noexcept {
  return 65536 / (work < 1 ? 1 : work > 65536 ? 65536 : work);
}

/// `sum` plus a[i] * b[i], one after the other.
template <class Real>
Real dot(const Real* a, const Real* b, std::int64_t count, Real sum = 0) noexcept {
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace annulus::reference

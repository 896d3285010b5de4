#pragma once

#include "tensor/tensor.h"

namespace annulus::reference {

/// The elements of a tensor, row-major and contiguous, in double.
class Doubles {
 public:
  Doubles() = default;
  explicit Doubles(Tensor values) : values_(std::move(values)), data_(values_.data<double>()) {}
  bool present() const noexcept { return data_ != nullptr; }
  double* data() const noexcept { return data_; }
  double& operator[](std::int64_t i) const noexcept { return data_[i]; }
  const Tensor& tensor() const noexcept { return values_; }

 private:
  Tensor values_;
  double* data_ = nullptr;
};

/// A copy of x in double.
Doubles doubles(Stream& stream, const Tensor& x);

/// A copy of *x; absent when x is null.
Doubles doubles(Stream& stream, const Tensor* x);

/// A copy of *x repeated along its axes of extent 1 to `shape`; absent when x is null.
Doubles doubles(Stream& stream, const Tensor* x, const Shape& shape);

/// Room for a result of that shape.
Doubles room(Stream& stream, const Shape& shape);

/// Writes a result into `out`, converted to its dtype.
void store(Stream& stream, const Doubles& result, Tensor& out);

/// The sum of a[i] * b[i].
double dot(const double* a, const double* b, std::int64_t count) noexcept;

}  // namespace annulus::reference

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tensor/tensor.h"

namespace annulus::cpu {

/// Contiguous elements of f32, bf16 or f16. Null: an operand that was not given.
struct Source {
  const std::byte* data = nullptr;
  DType dtype = DType::F32;
};
struct Sink {
  std::byte* data = nullptr;
  DType dtype = DType::F32;
};

/// The rows of a tensor: its last axis, numbered over all outer axes in row-major order. Outer axes
/// may be strided or repeat. Default-constructed: an operand that was not given.
class Rows {
 public:
  Rows() = default;

  /// Throws InvalidRequest when the last axis is not contiguous, Unsupported for another dtype than
  /// f32, bf16 and f16.
  explicit Rows(const Tensor& x);

  /// The rows of *x repeated to `shape`; not given when x is null.
  Rows(const Tensor* x, const Shape& shape);

  bool given() const noexcept { return data_ != nullptr; }
  std::int64_t count() const noexcept { return count_; }
  std::int64_t length() const noexcept { return length_; }
  DType dtype() const noexcept { return dtype_; }

  std::byte* address(std::int64_t row) const noexcept {
    if (axes_ == 1) [[likely]]
      return data_ + row * stride_[0];
    std::byte* at = data_;
    for (int axis = axes_ - 1; axis > 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      at += row % extent_[i] * stride_[i];
      row /= extent_[i];
    }
    return at + row * stride_[0];
  }
  Source source(std::int64_t row) const noexcept {
    return given() ? Source{address(row), dtype_} : Source{};
  }
  Sink sink(std::int64_t row) const noexcept { return {address(row), dtype_}; }

  /// Rows that lie at one distance from each other: count() where all do, else those of the
  /// innermost axis.
  std::int64_t run() const noexcept {
    return axes_ == 1 ? count_ : extent_[static_cast<std::size_t>(axes_ - 1)];
  }
  /// Bytes between neighbours of one run.
  std::int64_t pitch() const noexcept { return stride_[static_cast<std::size_t>(axes_ - 1)]; }

 private:
  std::byte* data_ = nullptr;
  DType dtype_ = DType::F32;
  std::int64_t count_ = 0, length_ = 0;
  int axes_ = 1;  // outer axes after those that lie behind one another were joined
  std::array<std::int64_t, Shape::kMaxRank> extent_{}, stride_{};  // strides in bytes
};

/// Elements of all operands that have no rows: bias and weight vectors. Throws as Rows does.
Source vector_source(const Tensor* x);

/// Throws Unsupported unless x is f32, bf16 or f16.
void check_dtype(const Tensor& x);

}  // namespace annulus::cpu

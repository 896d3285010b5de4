// Tensor: shape, dtype, strides and a shared reference to device memory. Views are free; anything
// that moves data names its stream (tensor/copy.h). No operations here: platform/ has them, nn/
// calls them.
#pragma once

#include <memory>

#include "base/error.h"
#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/view.h"

namespace annulus {

/// Copying shares memory, never clones it. A default-constructed Tensor is undefined: only
/// defined() may be asked.
class Tensor {
 public:
  Tensor() = default;

  /// New contiguous memory, contents undefined. Throws OutOfMemory.
  static Tensor empty(const Shape& shape, DType dtype, Device& device);

  /// A contiguous tensor over `buffer`, `byte_offset` bytes in. Throws InvalidRequest when it does
  /// not fit or is misaligned.
  static Tensor over(std::shared_ptr<Buffer> buffer, std::size_t byte_offset, const Shape& shape,
                     DType dtype);

  /// As above with other strides: memory of the caller, laid out as it likes. Throws InvalidRequest
  /// for a negative stride too.
  static Tensor over(std::shared_ptr<Buffer> buffer, std::size_t byte_offset, const Shape& shape,
                     const Strides& strides, DType dtype);

  bool defined() const noexcept { return buffer_ != nullptr; }
  const Shape& shape() const noexcept { return shape_; }
  DType dtype() const noexcept { return dtype_; }
  Device& device() const noexcept { return *buffer_->device; }
  const std::shared_ptr<Buffer>& buffer() const noexcept { return buffer_; }
  std::int64_t stride(int axis) const noexcept {
    return strides_[static_cast<std::size_t>(axis < 0 ? axis + shape_.rank() : axis)];
  }
  const Strides& strides() const noexcept { return strides_; }
  std::int64_t elements() const noexcept { return shape_.elements(); }
  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(elements()) * size_of(dtype_);
  }
  bool is_contiguous() const noexcept;

  // Views of the same memory. All throw InvalidRequest for an impossible argument.
  Tensor reshape(const Shape& shape) const;  // strides must allow it (copy.h has contiguous())
  Tensor slice(int axis, std::int64_t begin, std::int64_t end) const;
  Tensor permute(std::initializer_list<int> axes) const;
  Tensor select(int axis, std::int64_t index) const;  // drops the axis
  Tensor unsqueeze(int axis) const;                   // adds an axis of extent 1
  Tensor expand(const Shape& shape)
      const;  // axes of extent 1 repeat at stride 0; missing outer axes are added

  /// Address of the first element in device memory.
  std::byte* address() const noexcept { return buffer_->data + offset_; }

  /// Window for a kernel on host memory. Throws InvalidRequest on another dtype, rank, a device the
  /// host cannot read, or read-only memory for a non-const T.
  template <class T, int Rank>
  View<T, Rank> view() {
    check_view(kDTypeOf<std::remove_const_t<T>>, Rank, !std::is_const_v<T>);
    return window<T, Rank>();
  }
  template <class T, int Rank>
  View<const T, Rank> view() const {
    check_view(kDTypeOf<std::remove_const_t<T>>, Rank, false);
    return window<const T, Rank>();
  }

  /// First element of a contiguous tensor on host memory; same checks, and contiguity.
  template <class T>
  T* data() {
    check_view(kDTypeOf<T>, shape_.rank(), true);
    check_contiguous();
    return reinterpret_cast<T*>(address());
  }
  template <class T>
  const T* data() const {
    check_view(kDTypeOf<T>, shape_.rank(), false);
    check_contiguous();
    return reinterpret_cast<const T*>(address());
  }

 private:
  void check_view(DType want, int rank, bool write) const;
  void check_contiguous() const;

  template <class T, int Rank>
  View<T, Rank> window() const noexcept {
    View<T, Rank> view{reinterpret_cast<T*>(address()), {}, {}};
    for (std::size_t axis = 0; axis < Rank; ++axis) {
      view.extent[axis] = shape_[static_cast<int>(axis)];
      view.stride[axis] = strides_[axis];
    }
    return view;
  }

  std::shared_ptr<Buffer> buffer_;
  std::size_t offset_ = 0;  // bytes
  Shape shape_;
  Strides strides_{};
  DType dtype_ = DType::F32;
};

/// Bytes from the first element of such a tensor to just past its last. Throws InvalidRequest for a
/// negative stride and for a product that does not fit.
std::size_t bytes_spanned(const Shape& shape, const Strides& strides, DType dtype);

}  // namespace annulus

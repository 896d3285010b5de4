#include "tensor/tensor.h"

#include <algorithm>
#include <limits>

namespace annulus {

namespace {

int checked_axis(const Shape& shape, int axis, int extra = 0) {
  const int rank = shape.rank() + extra;
  require(axis >= -rank && axis < rank, ErrorCode::InvalidRequest, "tensor: wanted an axis of ",
          shape, ", found ", axis);
  return axis < 0 ? axis + rank : axis;
}

std::size_t at(int axis) noexcept {
  return static_cast<std::size_t>(axis);
}

// Strides that show `from` as `to` without moving data; false when there are none.
bool reshaped_strides(const Shape& from, const Strides& strides, const Shape& to,
                      Strides& result) noexcept {
  int in = 0, out = 0;
  while (in < from.rank() || out < to.rank()) {
    std::int64_t in_size = in < from.rank() ? from[in] : 1,
                 out_size = out < to.rank() ? to[out] : 1;
    int in_end = std::min(in + 1, from.rank()), out_end = std::min(out + 1, to.rank());
    while (in_size != out_size) {  // grow the smaller group until both hold the same elements
      if (in_size < out_size) {
        if (in_end == from.rank()) return false;
        in_size *= from[in_end++];
      } else {
        if (out_end == to.rank()) return false;
        out_size *= to[out_end++];
      }
    }
    // The group must be one run of memory: each axis that is longer than 1 steps over the whole of
    // the next one.
    std::int64_t step = 0;
    bool first = true;
    for (int axis = in_end - 1; axis >= in; --axis) {
      if (from[axis] == 1) continue;
      if (first)
        step = strides[at(axis)], first = false;
      else if (out_end - out > 1 || in_end - in > 1) {
        std::int64_t inner = 1;
        for (int next = axis + 1; next < in_end; ++next) inner *= from[next];
        if (strides[at(axis)] != step * inner) return false;
      }
    }
    std::int64_t run = first ? 1 : step;
    for (int axis = out_end - 1; axis >= out; --axis) {
      result[at(axis)] = run;
      run *= to[axis];
    }
    in = in_end;
    out = out_end;
  }
  return true;
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device& device) {
  std::size_t bytes = 0;
  require(
      !__builtin_mul_overflow(static_cast<std::size_t>(shape.elements()), size_of(dtype), &bytes),
      ErrorCode::OutOfMemory, "tensor: wanted a size that fits in memory, found ", shape, " ",
      name_of(dtype));
  return over(device.allocate(bytes), 0, shape, dtype);
}

Tensor Tensor::over(std::shared_ptr<Buffer> buffer, std::size_t byte_offset, const Shape& shape,
                    DType dtype) {
  return over(std::move(buffer), byte_offset, shape, contiguous_strides(shape), dtype);
}

Tensor Tensor::over(std::shared_ptr<Buffer> buffer, std::size_t byte_offset, const Shape& shape,
                    const Strides& strides, DType dtype) {
  const std::size_t bytes = bytes_spanned(shape, strides, dtype);
  require(byte_offset <= buffer->bytes && bytes <= buffer->bytes - byte_offset,
          ErrorCode::InvalidRequest, "tensor: wanted ", shape, " ", name_of(dtype), " within ",
          buffer->bytes, " bytes, found an offset of ", byte_offset);
  require(reinterpret_cast<std::uintptr_t>(buffer->data + byte_offset) % size_of(dtype) == 0,
          ErrorCode::InvalidRequest, "tensor: wanted memory aligned to ", size_of(dtype),
          " bytes, found an offset of ", byte_offset);
  Tensor made;
  made.buffer_ = std::move(buffer);
  made.offset_ = byte_offset;
  made.shape_ = shape;
  made.strides_ = strides;
  made.dtype_ = dtype;
  return made;
}

std::size_t bytes_spanned(const Shape& shape, const Strides& strides, DType dtype) {
  if (shape.elements() == 0) return 0;
  std::int64_t last = 0, bytes = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    std::int64_t reach = 0;
    require(strides[at(axis)] >= 0 &&
                !__builtin_mul_overflow(shape[axis] - 1, strides[at(axis)], &reach) &&
                !__builtin_add_overflow(last, reach, &last),
            ErrorCode::InvalidRequest, "tensor: wanted strides >= 0 that fit in memory, found ",
            strides[at(axis)], " along axis ", axis, " of ", shape);
  }
  require(last < std::numeric_limits<std::int64_t>::max() &&
              !__builtin_mul_overflow(last + 1, static_cast<std::int64_t>(size_of(dtype)), &bytes),
          ErrorCode::InvalidRequest, "tensor: wanted a size that fits in memory, found ", shape,
          " ", name_of(dtype));
  return static_cast<std::size_t>(bytes);
}

bool Tensor::is_contiguous() const noexcept {
  if (elements() == 0) return true;
  std::int64_t step = 1;
  for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
    if (shape_[axis] != 1 && strides_[at(axis)] != step) return false;
    step *= shape_[axis];
  }
  return true;
}

Tensor Tensor::reshape(const Shape& shape) const {
  require(shape.elements() == elements(), ErrorCode::InvalidRequest, "reshape: wanted ", shape,
          ", found ", shape_);
  Tensor made = *this;
  made.shape_ = shape;
  if (elements() == 0) {
    made.strides_ = contiguous_strides(shape);
    return made;
  }
  made.strides_ = {};
  require(reshaped_strides(shape_, strides_, shape, made.strides_), ErrorCode::InvalidRequest,
          "reshape: wanted ", shape, ", found ", shape_,
          " whose strides do not allow it without a copy");
  return made;
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t end) const {
  axis = checked_axis(shape_, axis);
  require(0 <= begin && begin <= end && end <= shape_[axis], ErrorCode::InvalidRequest,
          "slice: wanted a range within axis ", axis, " of ", shape_, ", found ", begin, " to ",
          end);
  Tensor made = *this;
  made.shape_ = shape_.with(axis, end - begin);
  if (made.elements() != 0)
    made.offset_ += static_cast<std::size_t>(begin * strides_[at(axis)]) * size_of(dtype_);
  return made;
}

Tensor Tensor::permute(std::initializer_list<int> axes) const {
  require(static_cast<int>(axes.size()) == shape_.rank(), ErrorCode::InvalidRequest,
          "permute: wanted ", shape_.rank(), " axes for ", shape_, ", found ", axes.size());
  Tensor made = *this;
  unsigned seen = 0;
  int to = 0;
  for (int axis : axes) {
    axis = checked_axis(shape_, axis);
    require((seen >> axis & 1u) == 0, ErrorCode::InvalidRequest,
            "permute: wanted each axis once, found ", axis, " twice");
    seen |= 1u << axis;
    made.shape_ = made.shape_.with(to, 1);
    made.strides_[at(to++)] = strides_[at(axis)];
  }
  to = 0;
  for (const int axis : axes) made.shape_ = made.shape_.with(to++, shape_[axis]);
  return made;
}

Tensor Tensor::select(int axis, std::int64_t index) const {
  axis = checked_axis(shape_, axis);
  Tensor made = slice(axis, index, index + 1);
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  std::size_t kept = 0;
  for (int i = 0; i < shape_.rank(); ++i) {
    if (i == axis) continue;
    extents[kept] = shape_[i];
    made.strides_[kept++] = strides_[at(i)];
  }
  made.strides_[kept] = 0;
  made.shape_ = Shape(std::span<const std::int64_t>(extents.data(), kept));
  return made;
}

Tensor Tensor::unsqueeze(int axis) const {
  axis = checked_axis(shape_, axis, 1);
  require(shape_.rank() < Shape::kMaxRank, ErrorCode::InvalidRequest,
          "unsqueeze: wanted room for an axis, found ", shape_);
  Tensor made = *this;
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (int i = 0, from = 0; i <= shape_.rank(); ++i) {
    extents[at(i)] = i == axis ? 1 : shape_[from];
    made.strides_[at(i)] = i == axis ? 0 : strides_[at(from)];
    if (i != axis) ++from;
  }
  made.shape_ = Shape(std::span<const std::int64_t>(extents.data(), at(shape_.rank() + 1)));
  return made;
}

Tensor Tensor::expand(const Shape& shape) const {
  const int added = shape.rank() - shape_.rank();
  require(added >= 0, ErrorCode::InvalidRequest, "expand: wanted ", shape, ", found ", shape_);
  Tensor made = *this;
  made.shape_ = shape;
  made.strides_ = {};
  for (int axis = added; axis < shape.rank(); ++axis) {
    const std::int64_t extent = shape_[axis - added];
    require(extent == shape[axis] || extent == 1, ErrorCode::InvalidRequest, "expand: wanted ",
            shape, ", found ", shape_);
    if (extent == shape[axis]) made.strides_[at(axis)] = strides_[at(axis - added)];
  }
  return made;
}

void Tensor::check_view(DType want, int rank, bool write) const {
  require(dtype_ == want && shape_.rank() == rank, ErrorCode::InvalidRequest, "tensor: wanted ",
          name_of(want), " of rank ", rank, ", found ", name_of(dtype_), " ", shape_);
  require(device().host_visible(), ErrorCode::InvalidRequest,
          "tensor: wanted host memory, found memory of ", device().name());
  require(!write || buffer_->writable, ErrorCode::InvalidRequest,
          "tensor: wanted writable memory, found a mapped file");
}

void Tensor::check_contiguous() const {
  require(is_contiguous(), ErrorCode::InvalidRequest,
          "tensor: wanted contiguous memory, found a strided view of shape ", shape_);
}

}  // namespace annulus

#include "tensor/shape.h"

#include <algorithm>
#include <ostream>

#include "base/error.h"

namespace annulus {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  require(extents.size() <= kMaxRank, ErrorCode::InvalidRequest, "shape: wanted at most ", kMaxRank,
          " axes, found ", extents.size());
  rank_ = static_cast<int>(extents.size());
  std::copy(extents.begin(), extents.end(), extents_.begin());
  std::int64_t product = 1;
  for (const std::int64_t extent : extents) {
    require(extent >= 0, ErrorCode::InvalidRequest, "shape: wanted extents of at least 0, found ",
            extent);
    require(extent == 0 || !__builtin_mul_overflow(product, extent, &product),
            ErrorCode::InvalidRequest, "shape: wanted fewer than 2^63 elements, found ",
            to_string(*this));
  }
}

std::int64_t Shape::elements() const noexcept {
  std::int64_t product = 1;
  for (const std::int64_t extent : extents()) product *= extent;
  return product;
}

Shape Shape::with(int axis, std::int64_t extent) const {
  std::array<std::int64_t, kMaxRank> changed = extents_;
  changed[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)] = extent;
  return Shape(std::span<const std::int64_t>(changed.data(), static_cast<std::size_t>(rank_)));
}

Strides contiguous_strides(const Shape& shape) noexcept {
  Strides strides{};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    step *= std::max<std::int64_t>(shape[axis], 1);
  }
  return strides;
}

std::string to_string(const Shape& shape) {
  return text_of(shape);
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int axis = 0; axis < shape.rank(); ++axis) out << (axis == 0 ? "" : ", ") << shape[axis];
  return out << ']';
}

}  // namespace annulus

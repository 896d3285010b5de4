#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>

namespace annulus {

/// Extents of a tensor, outermost first. At most kMaxRank axes; extents are >= 0 and their product
/// fits in 63 bits.
class Shape {
 public:
  static constexpr int kMaxRank = 8;  // [b, c, f, pf, h, ph, w, pw] while patching video

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const noexcept { return rank_; }
  /// Negative axes count from the end.
  std::int64_t operator[](int axis) const noexcept {
    return extents_[static_cast<std::size_t>(axis < 0 ? axis + rank_ : axis)];
  }
  std::int64_t elements() const noexcept;
  std::span<const std::int64_t> extents() const noexcept {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// This shape with another extent at `axis`.
  Shape with(int axis, std::int64_t extent) const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// Elements between neighbours along each axis; 0 where an axis is broadcast.
using Strides = std::array<std::int64_t, Shape::kMaxRank>;

/// Row-major strides of a contiguous tensor.
Strides contiguous_strides(const Shape& shape) noexcept;

std::string to_string(const Shape& shape);  // "[2, 3, 4]"
std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace annulus

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "tensor/tensor.h"

namespace annulus::cpu {

/// Elements of one operand at a fixed distance from each other; step 0 repeats one element.
struct Strided {
  std::byte* data = nullptr;
  std::int64_t step = 1;  // elements
  DType dtype = DType::F32;
};

/// The elements of several tensors of one shape, walked together in tiles: axes that lie behind one
/// another in all of them are joined, and the order is that of the first operand's memory.
class Walk {
 public:
  static constexpr int kMaxOperands = 9;
  static constexpr std::int64_t kTile = 4096;  // elements

  /// Throws Unsupported for another dtype than f32, bf16 and f16.
  explicit Walk(std::initializer_list<const Tensor*> operands)
      : Walk(operands.begin(), operands.size()) {}
  Walk(const Tensor* const* operands, std::size_t count);

  int operands() const noexcept { return operands_; }
  std::int64_t tiles() const noexcept { return rows_ * tiles_per_row_; }
  /// Tiles that are worth a thread.
  std::int64_t grain() const noexcept;

  /// Elements in a tile.
  std::int64_t count(std::int64_t tile) const noexcept {
    const std::int64_t begin = tile % tiles_per_row_ * kTile;
    return length_ - begin < kTile ? length_ - begin : kTile;
  }

  /// Where a tile of an operand lies.
  Strided at(int operand, std::int64_t tile) const noexcept {
    const Operand& o = operand_[static_cast<std::size_t>(operand)];
    std::int64_t offset = tile % tiles_per_row_ * kTile * o.step, row = tile / tiles_per_row_;
    for (int axis = axes_ - 1; axis >= 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      offset += row % extent_[i] * o.stride[i];
      row /= extent_[i];
    }
    return {o.data + offset * static_cast<std::int64_t>(size_of(o.dtype)), o.step, o.dtype};
  }

 private:
  struct Operand {
    std::byte* data = nullptr;
    DType dtype = DType::F32;
    std::int64_t step = 1;
    std::array<std::int64_t, Shape::kMaxRank> stride{};  // of the outer axes, elements
  };
  int operands_ = 0, axes_ = 0;
  std::int64_t rows_ = 1, length_ = 1, tiles_per_row_ = 1;
  std::array<std::int64_t, Shape::kMaxRank> extent_{};
  std::array<Operand, kMaxOperands> operand_{};
};

}  // namespace annulus::cpu

#include "platform/cpu/walk.h"

#include <algorithm>

#include "platform/cpu/rows.h"

namespace annulus::cpu {

Walk::Walk(const Tensor* const* operands, std::size_t count) : operands_(static_cast<int>(count)) {
  require(count >= 1 && count <= kMaxOperands, ErrorCode::InvalidRequest, "cpu: wanted 1 to ",
          kMaxOperands, " operands, found ", count);
  const Shape& shape = operands[0]->shape();
  for (std::size_t i = 0; i < count; ++i) {
    require(operands[i]->shape() == shape, ErrorCode::InvalidRequest,
            "cpu: wanted equal shapes, found ", shape, " and ", operands[i]->shape());
    check_dtype(*operands[i]);
    operand_[i].data = operands[i]->address();
    operand_[i].dtype = operands[i]->dtype();
  }

  std::array<int, Shape::kMaxRank> order{};
  int axes = 0;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] != 1) order[static_cast<std::size_t>(axes++)] = axis;
  std::stable_sort(order.begin(), order.begin() + axes,
                   [&](int a, int b) { return operands[0]->stride(a) > operands[0]->stride(b); });

  std::array<std::int64_t, Shape::kMaxRank> extent{};
  int kept = 0;
  for (int i = 0; i < axes; ++i) {
    const int axis = order[static_cast<std::size_t>(i)];
    const auto last = static_cast<std::size_t>(std::max(kept - 1, 0));
    bool joins = kept > 0;
    for (std::size_t o = 0; o < count; ++o)
      joins = joins && operand_[o].stride[last] == operands[o]->stride(axis) * shape[axis];
    if (!joins) ++kept;
    const auto to = static_cast<std::size_t>(kept - 1);
    extent[to] = joins ? extent[to] * shape[axis] : shape[axis];
    for (std::size_t o = 0; o < count; ++o) operand_[o].stride[to] = operands[o]->stride(axis);
  }

  if (kept > 0) {
    const auto inner = static_cast<std::size_t>(kept - 1);
    length_ = extent[inner];
    for (std::size_t o = 0; o < count; ++o) operand_[o].step = operand_[o].stride[inner];
    axes_ = kept - 1;
    for (std::size_t i = 0; i < inner; ++i) rows_ *= extent_[i] = extent[i];
  }
  tiles_per_row_ = std::max<std::int64_t>((length_ + kTile - 1) / kTile, 1);
  if (shape.elements() == 0) rows_ = 0;
}

std::int64_t Walk::grain() const noexcept {
  constexpr std::int64_t kWorthAThread = 16384;  // elements
  return std::max<std::int64_t>(kWorthAThread / std::clamp<std::int64_t>(length_, 1, kTile), 1);
}

}  // namespace annulus::cpu

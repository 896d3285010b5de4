#include "tensor/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/parallel_for.h"

namespace annulus {

namespace {

constexpr std::int64_t kGrain = 16384;  // elements per task

template <class F>
void with_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::F64:
      return f(double{});
    case DType::F32:
      return f(float{});
    case DType::F16:
      return f(F16{});
    case DType::BF16:
      return f(Bf16{});
    case DType::I64:
      return f(std::int64_t{});
    case DType::I32:
      return f(std::int32_t{});
    case DType::I16:
      return f(std::int16_t{});
    case DType::I8:
      return f(std::int8_t{});
    case DType::U8:
      return f(std::uint8_t{});
    case DType::Bool:
      return f(bool{});
  }
}

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, F16> || std::is_same_v<T, Bf16>;

template <class To, class From>
To converted(From x) noexcept {
  if constexpr (std::is_same_v<To, From>)
    return x;
  else if constexpr (std::is_same_v<To, bool>) {
    if constexpr (kIsHalf<From>)
      return to_float(x) != 0;
    else
      return x != 0;
  } else if constexpr (kIsHalf<To> || kIsHalf<From>) {
    if constexpr (kIsHalf<From>)
      return convert<To>(to_float(x));
    else
      return convert<To>(static_cast<float>(x));
  } else
    return static_cast<To>(x);
}

// Axes of two tensors with the same shape, without those of extent 1, neighbours joined where both
// allow it, ordered so that the destination is walked as it lies in memory.
struct Walk {
  int rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> extent{}, from{}, to{};
};

Walk walk_of(const Shape& shape, const Strides& from, const Strides& to) {
  std::array<int, Shape::kMaxRank> order{};
  int count = 0;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] != 1) order[static_cast<std::size_t>(count++)] = axis;
  std::stable_sort(order.begin(), order.begin() + count, [&](int a, int b) {
    return to[static_cast<std::size_t>(a)] > to[static_cast<std::size_t>(b)];
  });
  Walk walk;
  for (int i = 0; i < count; ++i) {
    const auto axis = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    const std::int64_t extent = shape[static_cast<int>(axis)];
    if (walk.rank > 0) {
      const auto last = static_cast<std::size_t>(walk.rank - 1);
      if (walk.from[last] == from[axis] * extent && walk.to[last] == to[axis] * extent) {
        walk.extent[last] *= extent;
        walk.from[last] = from[axis];
        walk.to[last] = to[axis];
        continue;
      }
    }
    const auto next = static_cast<std::size_t>(walk.rank++);
    walk.extent[next] = extent;
    walk.from[next] = from[axis];
    walk.to[next] = to[axis];
  }
  if (walk.rank == 0) {
    walk.rank = 1;
    walk.extent[0] = 1;
  }
  return walk;
}

// Calls row(from offset, to offset) for rows [begin, end) of all axes but the last.
template <class Row>
void for_rows(const Walk& walk, std::int64_t begin, std::int64_t end, const Row& row) {
  for (std::int64_t index = begin; index < end; ++index) {
    std::int64_t rest = index, from = 0, to = 0;
    for (int axis = walk.rank - 2; axis >= 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      from += rest % walk.extent[i] * walk.from[i];
      to += rest % walk.extent[i] * walk.to[i];
      rest /= walk.extent[i];
    }
    row(from, to);
  }
}

template <class From, class To>
void copy_typed(int threads, const Walk& walk, const From* from, To* to) {
  const auto last = static_cast<std::size_t>(walk.rank - 1);
  const std::int64_t length = walk.extent[last], from_step = walk.from[last],
                     to_step = walk.to[last];
  std::int64_t rows = 1;
  for (std::size_t axis = 0; axis < last; ++axis) rows *= walk.extent[axis];
  const auto run = [=](const From* source, To* target, std::int64_t begin, std::int64_t end) {
    if (from_step == 1 && to_step == 1) {
      if constexpr (std::is_same_v<From, To>)
        std::memcpy(target + begin, source + begin,
                    static_cast<std::size_t>(end - begin) * sizeof(To));
      else
        for (std::int64_t i = begin; i < end; ++i) target[i] = converted<To>(source[i]);
    } else
      for (std::int64_t i = begin; i < end; ++i)
        target[i * to_step] = converted<To>(source[i * from_step]);
  };
  if (rows == 1) {
    parallel_for(threads, length, kGrain,
                 [&](std::int64_t begin, std::int64_t end) { run(from, to, begin, end); });
    return;
  }
  parallel_for(threads, rows, std::max<std::int64_t>(kGrain / std::max<std::int64_t>(length, 1), 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for_rows(walk, begin, end, [&](std::int64_t source, std::int64_t target) {
                   run(from + source, to + target, 0, length);
                 });
               });
}

}  // namespace

void strided_copy(int threads, const Tensor& from, Tensor& to) {
  require(from.shape() == to.shape(), ErrorCode::InvalidRequest,
          "copy: wanted equal shapes, found ", from.shape(), " and ", to.shape());
  require(to.buffer()->writable, ErrorCode::InvalidRequest,
          "copy: wanted writable memory, found a mapped file");
  if (from.elements() == 0) return;
  const Walk walk = walk_of(from.shape(), from.strides(), to.strides());
  with_dtype(from.dtype(), [&](auto source) {
    with_dtype(to.dtype(), [&](auto target) {
      copy_typed(threads, walk, reinterpret_cast<const decltype(source)*>(from.address()),
                 reinterpret_cast<decltype(target)*>(to.address()));
    });
  });
}

void strided_fill(int threads, Tensor& to, double value) {
  require(to.buffer()->writable, ErrorCode::InvalidRequest,
          "fill: wanted writable memory, found a mapped file");
  if (to.elements() == 0) return;
  const Walk walk = walk_of(to.shape(), Strides{}, to.strides());
  with_dtype(to.dtype(), [&](auto target) {
    using To = decltype(target);
    const To constant = converted<To>(value);
    copy_typed(threads, walk, &constant, reinterpret_cast<To*>(to.address()));
  });
}

}  // namespace annulus

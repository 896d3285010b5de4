// Included inside each instruction set's namespace, after norms.h: rotary embedding of one head at
// a time, with its RMSNorm before it.

template <int... kLane>
inline Floats swapped_pairs(Floats x, std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane ^ 1)...);
}
template <int... kLane>
inline Floats even_twice(Floats x, std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane & ~1)...);
}
template <int... kLane>
inline Floats odd_twice(Floats x, std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane | 1)...);
}
template <int... kLane>
inline Floats every_second(Floats a, Floats b, std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(a, b, (2 * kLane)...);
}
template <int... kLane>
inline Floats every_other_second(Floats a, Floats b,
                                 std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(a, b, (2 * kLane + 1)...);
}
/// -x in even lanes, x in odd ones.
template <int... kLane>
inline Floats signs(std::integer_sequence<int, kLane...>) noexcept {
  return Floats{((kLane & 1) != 0 ? 1.0f : -1.0f)...};
}

using Lanes = std::make_integer_sequence<int, kLanes>;

/// A head, scaled by its norm where there is one.
struct Head {
  Source x, weight;
  float factor;
  Floats operator()(std::int64_t at, std::int64_t count) const noexcept {
    const Floats values = load(x, at, count);
    return weight.data == nullptr ? values : values * factor * load(weight, at, count);
  }
};

/// Lanes hold (a, b) pairs, and freqs (cos, sin) pairs: out = x cos + (-b, a) sin.
inline void turn_pairs(const Head& head, Source freqs, std::int64_t pairs, Sink out) noexcept {
  for_lanes(2 * pairs, [&](std::int64_t at, std::int64_t count) {
    const Floats x = head(at, count), angle = load(freqs, at, count);
    const Floats turned = x * even_twice(angle, Lanes{}) +
                          swapped_pairs(x, Lanes{}) * odd_twice(angle, Lanes{}) * signs(Lanes{});
    store(turned, out, at, count);
  });
}

struct Angles {
  Floats cos, sin;
};

/// `count` angles from pair `at` on.
inline Angles load_angles(Source freqs, std::int64_t at, std::int64_t count) noexcept {
  Floats first{}, second{};
  if (count == kLanes) {
    first = load(freqs, 2 * at, kLanes);
    second = load(freqs, 2 * at + kLanes, kLanes);
  } else {
    const std::int64_t low = 2 * count < kLanes ? 2 * count : kLanes;
    first = load(freqs, 2 * at, low);
    if (2 * count > low) second = load(freqs, 2 * at + low, 2 * count - low);
  }
  return {every_second(first, second, Lanes{}), every_other_second(first, second, Lanes{})};
}

inline void turn_halves(const Head& head, Source freqs, std::int64_t pairs, Sink out) noexcept {
  for_lanes(pairs, [&](std::int64_t at, std::int64_t count) {
    const auto [cos, sin] = load_angles(freqs, at, count);
    const Floats a = head(at, count), b = head(pairs + at, count);
    store(a * cos - b * sin, out, at, count);
    store(b * cos + a * sin, out, pairs + at, count);
  });
}

void rope(const RopeRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length(), turned = 2 * rows.pairs;
  for (std::int64_t row = begin; row < end; ++row) {
    Head head{rows.x.source(row), rows.norm_weight, 1.0f};
    if (head.weight.data != nullptr)
      head.factor = rms_factor(sum_of_squares(head.x, length), length, rows.eps, false);
    const Source freqs = rows.freqs.source(row / rows.heads);
    const Sink out = rows.out.sink(row);
    if (rows.layout == RopeLayout::Pairs)
      turn_pairs(head, freqs, rows.pairs, out);
    else
      turn_halves(head, freqs, rows.pairs, out);
    for_lanes(length - turned, [&](std::int64_t at, std::int64_t count) {
      store(head(turned + at, count), out, turned + at, count);
    });
  }
}

// Included inside each instruction set's namespace, after norms.h: rotary embedding of one head at
// a time, with its RMSNorm before it.

template <int... kLane>
[[gnu::always_inline]] inline Floats swapped_pairs(Floats x,
                                                   std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane ^ 1)...);
}
template <int... kLane>
[[gnu::always_inline]] inline Floats even_twice(Floats x,
                                                std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane & ~1)...);
}
template <int... kLane>
[[gnu::always_inline]] inline Floats odd_twice(Floats x,
                                               std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(x, x, (kLane | 1)...);
}
template <int... kLane>
[[gnu::always_inline]] inline Floats every_second(Floats a, Floats b,
                                                  std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(a, b, (2 * kLane)...);
}
template <int... kLane>
[[gnu::always_inline]] inline Floats every_other_second(
    Floats a, Floats b, std::integer_sequence<int, kLane...>) noexcept {
  return __builtin_shufflevector(a, b, (2 * kLane + 1)...);
}
/// -x in even lanes, x in odd ones.
template <int... kLane>
[[gnu::always_inline]] inline Floats signs(std::integer_sequence<int, kLane...>) noexcept {
  return Floats{((kLane & 1) != 0 ? 1.0f : -1.0f)...};
}

using Lanes = std::make_integer_sequence<int, kLanes>;

/// A row's elements times a factor and, where there is one, a weight: [at, at + count) into `tile`.
struct Head {
  Source x, weight;
  float factor;
  const float* operator()(std::int64_t first, std::int64_t elements, Tile& tile) const noexcept {
    const float* const values = fetch(x, first, elements, tile);
    if (weight.data == nullptr) return values;
    Tile of_weight;
    const float* const weights = fetch(weight, first, elements, of_weight);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      store(load(values + at, count) * factor * load(weights + at, count), tile.values + at, count);
    });
    return tile.values;
  }
};

/// Lanes hold (a, b) pairs, and freqs (cos, sin) pairs: out = x cos + (-b, a) sin.
inline void turn_pairs(const Head& head, const float* freqs, std::int64_t pairs,
                       Sink out) noexcept {
  Tile of_x, of_out;
  for_tiles(2 * pairs, [&](std::int64_t first, std::int64_t elements) {
    const float* const x = head(first, elements, of_x);
    float* const to = target(out, first, of_out);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      const Floats values = load(x + at, count), angles = load(freqs + first + at, count);
      store(values * even_twice(angles, Lanes{}) +
                swapped_pairs(values, Lanes{}) * odd_twice(angles, Lanes{}) * signs(Lanes{}),
            to + at, count);
    });
    put(to, out, first, elements);
  });
}

struct Angles {
  Floats cos, sin;
};

/// `count` (cos, sin) pairs.
[[gnu::always_inline]] inline Angles load_angles(const float* freqs, std::int64_t count) noexcept {
  Floats low{}, high{};
  if (count == kLanes) {
    low = load(freqs, kLanes);
    high = load(freqs + kLanes, kLanes);
  } else {
    const std::int64_t in_low = 2 * count < kLanes ? 2 * count : kLanes;
    low = load(freqs, in_low);
    if (2 * count > in_low) high = load(freqs + in_low, 2 * count - in_low);
  }
  return {every_second(low, high, Lanes{}), every_other_second(low, high, Lanes{})};
}

inline void turn_halves(const Head& head, const float* freqs, std::int64_t pairs,
                        Sink out) noexcept {
  Tile of_a, of_b, of_out_a, of_out_b;
  for_tiles(pairs, [&](std::int64_t first, std::int64_t elements) {
    const float *const a = head(first, elements, of_a), *const b =
                                                            head(pairs + first, elements, of_b);
    float *const to_a = target(out, first, of_out_a), *const to_b =
                                                          target(out, pairs + first, of_out_b);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      const Angles angles = load_angles(freqs + 2 * (first + at), count);
      const Floats left = load(a + at, count), right = load(b + at, count);
      store(left * angles.cos - right * angles.sin, to_a + at, count);
      store(right * angles.cos + left * angles.sin, to_b + at, count);
    });
    put(to_a, out, first, elements);
    put(to_b, out, pairs + first, elements);
  });
}

void rope(const RopeRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length(), turned = 2 * rows.pairs;
  Tile tile;
  for (std::int64_t row = begin; row < end; ++row) {
    Head head{rows.x.source(row), rows.norm_weight, 1.0f};
    if (head.weight.data != nullptr)
      head.factor = rms_factor(sum_of_squares(head.x, 0, length), length, rows.eps, false);
    const auto* const freqs = reinterpret_cast<const float*>(rows.freqs.address(row / rows.heads));
    const Sink out = rows.out.sink(row);
    if (rows.layout == RopeLayout::Pairs)
      turn_pairs(head, freqs, rows.pairs, out);
    else
      turn_halves(head, freqs, rows.pairs, out);
    for_tiles(length - turned, [&](std::int64_t first, std::int64_t elements) {
      const std::int64_t at = turned + first;
      narrow(head(at, elements, tile),
             {out.data + at * static_cast<std::int64_t>(size_of(out.dtype)), out.dtype}, elements);
    });
  }
}

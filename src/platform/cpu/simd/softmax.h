// Included inside each instruction set's namespace, after math.h.

/// One row of scores: x + mask, and -inf wherever the mask is.
struct Scores {
  Source x;
  Strided mask;  // data null: none
  const float* operator()(std::int64_t first, std::int64_t elements, Tile& tile,
                          Tile& of_mask) const noexcept {
    const float* const values = fetch(x, first, elements, tile);
    if (mask.data == nullptr) return values;
    const float* const added = fetch(mask, first, elements, of_mask);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      const Floats m = load(added + at, count);
      store(m == -__builtin_inff() ? m : load(values + at, count) + m, tile.values + at, count);
    });
    return tile.values;
  }
};

/// The largest score; NaN where there is one.
inline float highest_of(const Scores& scores, std::int64_t length) noexcept {
  constexpr float kNothing = -__builtin_inff();
  Tile tile, of_mask;
  Floats most = splat(kNothing), nan{};
  for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
    const float* const values = scores(first, elements, tile, of_mask);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      Floats value = load(values + at, count);
      for (std::int64_t lane = count; lane < kLanes; ++lane) value[lane] = kNothing;
      most = value > most ? value : most;
      nan = value == value ? nan : value;  // which the maximum would lose
    });
  });
  const float seen = sum_lanes(nan);
  return seen == 0.0f ? max_lane(most) : seen;
}

void softmax(const SoftmaxRows& rows, std::int64_t begin, std::int64_t end,
             float* scratch) noexcept {
  constexpr float kNothing = -__builtin_inff();
  const std::int64_t length = rows.x.length();
  Tile tile, of_mask;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t matrix = row / rows.rows, line = row % rows.rows;
    Scores scores{rows.x.source(row), {nullptr, rows.mask_stride[2], DType::F32}};
    if (rows.mask != nullptr)
      scores.mask.data = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(
          rows.mask + matrix * rows.mask_stride[0] + line * rows.mask_stride[1]));
    const float highest = highest_of(scores, length);
    const bool empty = highest == kNothing;

    const Sink out = rows.out.sink(row);
    float* const weights = out.dtype == DType::F32 ? reinterpret_cast<float*>(out.data) : scratch;
    Floats sums{};
    for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
      const float* const values = scores(first, elements, tile, of_mask);
      for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
        const Floats e = empty ? Floats{} : exp_lanes(load(values + at, count) - highest);
        sums += first_lanes(e, count);
        store(e, weights + first + at, count);
      });
    });
    const float sum = sum_lanes(sums), factor = empty ? 0.0f : 1.0f / sum;
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      store(load(weights + at, count) * factor, weights + at, count);
    });
    put(weights, out, 0, length);
    if (rows.lse != nullptr)
      rows.lse[matrix * rows.lse_stride[0] + line * rows.lse_stride[1]] =
          empty ? kNothing : highest + __builtin_logf(sum);
  }
}

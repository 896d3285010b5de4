// Included inside each instruction set's namespace, after math.h: products of a few rows with a
// weight that is read once, as it is stored.

/// sums[r][w] = x row r . weight row w, over `in` elements.
template <int kRows, int kWeights>
inline void dot_block(const float* x, std::int64_t pitch, const Source* weight, std::int64_t in,
                      float* sums, std::int64_t sums_pitch) noexcept {
  Floats total[kRows][kWeights] = {};
  for_lanes(in, [&](std::int64_t at, std::int64_t count) {
    Floats w[kWeights];
    for (int i = 0; i < kWeights; ++i) w[i] = load(weight[i], at, count);
    for (int r = 0; r < kRows; ++r) {
      Floats values;
      __builtin_memcpy(&values, x + r * pitch + at, sizeof values);
      for (int i = 0; i < kWeights; ++i) total[r][i] += values * w[i];
    }
  });
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kWeights; ++i) sums[r * sums_pitch + i] = sum_lanes(total[r][i]);
}

template <int kWeights>
inline void dot_rows(const SmallLinear& call, const Source* weight, float* sums,
                     std::int64_t sums_pitch) noexcept {
  std::int64_t row = 0;
  const auto block = [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    dot_block<kRows, kWeights>(call.x + row * call.pitch, call.pitch, weight, call.in,
                               sums + row * sums_pitch, sums_pitch);
    row += kRows;
  };
  while (call.rows - row >= kDotRows) block(std::integral_constant<int, kDotRows>{});
  while (call.rows - row >= 2) block(std::integral_constant<int, 2>{});
  while (call.rows - row >= 1) block(std::integral_constant<int, 1>{});
}

void small_linear(const SmallLinear& call, std::int64_t begin, std::int64_t end) noexcept {
  constexpr std::int64_t kBlock = 64;  // outputs between epilogues
  float sums[kSmallLinearRows * kBlock];
  for (std::int64_t first = begin; first < end; first += kBlock) {
    const std::int64_t outputs = end - first < kBlock ? end - first : kBlock;
    std::int64_t o = 0;
    for (; o + 4 <= outputs; o += 4) {
      Source weight[4];
      for (int i = 0; i < 4; ++i) weight[i] = call.weight.source(first + o + i);
      dot_rows<4>(call, weight, sums + o, kBlock);
    }
    for (; o < outputs; ++o) {
      const Source weight = call.weight.source(first + o);
      dot_rows<1>(call, &weight, sums + o, kBlock);
    }
    with_activation(call.activation, [&](auto activation) {
      for (std::int64_t row = 0; row < call.rows; ++row) {
        const Sink out = call.out.sink(row);
        const Source line{reinterpret_cast<const std::byte*>(sums + row * kBlock), DType::F32};
        for_lanes(outputs, [&](std::int64_t at, std::int64_t count) {
          Floats y = load(line, at, count);
          if (call.bias.data != nullptr) y += load(call.bias, first + at, count);
          store(activated<decltype(activation)::value>(y), out, first + at, count);
        });
      }
    });
  }
}

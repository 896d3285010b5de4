// Included inside each instruction set's namespace, after math.h: products of a few rows with a
// weight that is read once, as it is stored, and widened in registers.

struct LoadF32 {
  static constexpr std::int64_t kBytes = 4;
  static Floats load(const std::byte* from, std::int64_t count) noexcept {
    return load_lanes<Floats>(from, count);
  }
};
struct LoadBf16 {
  static constexpr std::int64_t kBytes = 2;
  static Floats load(const std::byte* from, std::int64_t count) noexcept {
    return from_bf16(load_lanes<Halves>(from, count));
  }
};
struct LoadF16 {
  static constexpr std::int64_t kBytes = 2;
  static Floats load(const std::byte* from, std::int64_t count) noexcept {
    return from_f16(load_lanes<Halves>(from, count));
  }
};

/// sums[r][w] = x row r . weight row w, over `in` elements. `ahead`: bytes from a weight row to the
/// one that is read next, which is fetched meanwhile (1.2 to 2 times the speed for one row of x:
/// rows are too short for the hardware to learn where they lead).
template <class Load, int kRows, int kWeights>
inline void dot_block(const float* x, std::int64_t pitch, const std::byte* const* weight,
                      std::int64_t ahead, std::int64_t in, float* sums,
                      std::int64_t sums_pitch) noexcept {
  Floats total[kRows][kWeights] = {};
  for_lanes(in, [&](std::int64_t at, std::int64_t count) {
    Floats w[kWeights];
    for (int i = 0; i < kWeights; ++i) {
      const std::byte* const from = weight[i] + at * Load::kBytes;
      if (kRows <= 2) __builtin_prefetch(from + ahead);
      w[i] = Load::load(from, count);
    }
    for (int r = 0; r < kRows; ++r) {
      const Floats values = load(x + r * pitch + at, kLanes);
      for (int i = 0; i < kWeights; ++i) total[r][i] += values * w[i];
    }
  });
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kWeights; ++i) sums[r * sums_pitch + i] = sum_lanes(total[r][i]);
}

template <class Load, int kWeights>
inline void dot_rows(const SmallLinear& call, const std::byte* const* weight, float* sums,
                     std::int64_t sums_pitch) noexcept {
  const std::int64_t ahead = kWeights * call.weight.pitch();
  std::int64_t row = 0;
  const auto block = [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    dot_block<Load, kRows, kWeights>(call.x + row * call.pitch, call.pitch, weight, ahead, call.in,
                                     sums + row * sums_pitch, sums_pitch);
    row += kRows;
  };
  while (call.rows - row >= kDotRows) block(std::integral_constant<int, kDotRows>{});
  while (call.rows - row >= 2) block(std::integral_constant<int, 2>{});
  while (call.rows - row >= 1) block(std::integral_constant<int, 1>{});
}

/// sums[r][o] for outputs [first, first + outputs).
template <class Load>
inline void dot_outputs(const SmallLinear& call, std::int64_t first, std::int64_t outputs,
                        float* sums, std::int64_t sums_pitch) noexcept {
  std::int64_t o = 0;
  for (; o + 4 <= outputs; o += 4) {
    const std::byte* weight[4];
    for (int i = 0; i < 4; ++i) weight[i] = call.weight.address(first + o + i);
    dot_rows<Load, 4>(call, weight, sums + o, sums_pitch);
  }
  for (; o < outputs; ++o) {
    const std::byte* const weight = call.weight.address(first + o);
    dot_rows<Load, 1>(call, &weight, sums + o, sums_pitch);
  }
}

void small_linear(const SmallLinear& call, std::int64_t begin, std::int64_t end) noexcept {
  constexpr std::int64_t kBlock = 64;  // outputs between epilogues
  float sums[kSmallLinearRows * kBlock], bias[kBlock];
  for (std::int64_t first = begin; first < end; first += kBlock) {
    const std::int64_t outputs = end - first < kBlock ? end - first : kBlock;
    if (call.weight.dtype() == DType::F32)
      dot_outputs<LoadF32>(call, first, outputs, sums, kBlock);
    else if (call.weight.dtype() == DType::BF16)
      dot_outputs<LoadBf16>(call, first, outputs, sums, kBlock);
    else
      dot_outputs<LoadF16>(call, first, outputs, sums, kBlock);
    if (call.bias.data != nullptr) {
      const auto offset = first * static_cast<std::int64_t>(size_of(call.bias.dtype));
      widen({call.bias.data + offset, call.bias.dtype}, bias, outputs);
    }
    for (std::int64_t row = 0; row < call.rows; ++row) {
      float* const line = sums + row * kBlock;
      if (call.bias.data != nullptr)
        for_lanes(outputs, [&](std::int64_t at, std::int64_t count) {
          store(load(line + at, count) + load(bias + at, count), line + at, count);
        });
      Sink out = call.out.sink(row);
      out.data += first * static_cast<std::int64_t>(size_of(out.dtype));
      convert({reinterpret_cast<const std::byte*>(line), DType::F32}, call.activation, out,
              outputs);
    }
  }
}

// Included inside each instruction set's namespace, after math.h.

void softmax(const SoftmaxRows& rows, std::int64_t begin, std::int64_t end,
             float* scratch) noexcept {
  constexpr float kNothing = -__builtin_inff();
  const std::int64_t length = rows.x.length();
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t matrix = row / rows.rows, line = row % rows.rows;
    const Source x = rows.x.source(row);
    const Sink out = rows.out.sink(row);
    Strided mask{nullptr, rows.mask_stride[2], DType::F32};
    if (rows.mask != nullptr)
      mask.data = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(
          rows.mask + matrix * rows.mask_stride[0] + line * rows.mask_stride[1]));
    const auto score = [&](std::int64_t at, std::int64_t count) {
      const Floats values = load(x, at, count);
      if (mask.data == nullptr) return values;
      const Floats added = load(mask, at, count);
      return added == kNothing ? added : values + added;
    };

    Floats most = splat(kNothing), seen{};
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      Floats values = score(at, count);
      for (std::int64_t lane = count; lane < kLanes; ++lane) values[lane] = kNothing;
      most = max_of(values, most);
      seen += values == values ? Floats{} : values;  // a NaN is not lost in the maximum
    });
    float highest = max_lane(most);
    if (sum_lanes(seen) != 0.0f) highest = sum_lanes(seen);  // NaN
    const bool empty = highest == kNothing;

    const Sink exponentials =
        out.dtype == DType::F32 ? out : Sink{reinterpret_cast<std::byte*>(scratch), DType::F32};
    Floats sums{};
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      const Floats e = empty ? Floats{} : exp_lanes(score(at, count) - highest);
      sums += first_lanes(e, count);
      store(e, exponentials, at, count);
    });
    const float sum = sum_lanes(sums), factor = empty ? 0.0f : 1.0f / sum;
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      store(load(Source{exponentials.data, DType::F32}, at, count) * factor, out, at, count);
    });
    if (rows.lse != nullptr)
      rows.lse[matrix * rows.lse_stride[0] + line * rows.lse_stride[1]] =
          empty ? kNothing : highest + __builtin_logf(sum);
  }
}

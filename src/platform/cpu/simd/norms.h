// Included inside each instruction set's namespace, after math.h: norms over rows. A row stays in
// the first-level cache between its passes.

void layer_norm(const LayerNormRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length();
  const auto hidden = static_cast<float>(length);
  for (std::int64_t row = begin; row < end; ++row) {
    const Source x = rows.x.source(row), shift = rows.shift.source(row),
                 scale = rows.scale.source(row);
    const Sink out = rows.out.sink(row);
    Floats sum{}, squares{};
    for_lanes(length, [&](std::int64_t at, std::int64_t count) { sum += load(x, at, count); });
    const float mean = sum_lanes(sum) / hidden;
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      const Floats centred = first_lanes(load(x, at, count) - mean, count);
      squares += centred * centred;
    });
    const float factor = 1.0f / __builtin_sqrtf(sum_lanes(squares) / hidden + rows.eps);
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      Floats y = (load(x, at, count) - mean) * factor;
      if (rows.weight.data != nullptr) y *= load(rows.weight, at, count);
      if (rows.bias.data != nullptr) y += load(rows.bias, at, count);
      if (scale.data != nullptr) y *= 1.0f + load(scale, at, count);
      if (shift.data != nullptr) y += load(shift, at, count);
      store(y, out, at, count);
    });
  }
}

inline float sum_of_squares(Source x, std::int64_t length) noexcept {
  Floats squares{};
  for_lanes(length, [&](std::int64_t at, std::int64_t count) {
    const Floats values = load(x, at, count);
    squares += values * values;
  });
  return sum_lanes(squares);
}

inline float rms_factor(float squares, std::int64_t length, float eps, bool l2) noexcept {
  const auto channels = static_cast<float>(length);
  if (!l2) return 1.0f / __builtin_sqrtf(squares / channels + eps);
  const float norm = __builtin_sqrtf(squares);
  return __builtin_sqrtf(channels) / (norm < eps ? eps : norm);
}

void rms_norm(const RmsNormRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length();
  with_activation(rows.activation, [&](auto activation) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Source x = rows.x.source(row);
      const Sink out = rows.out.sink(row);
      const float factor = rms_factor(sum_of_squares(x, length), length, rows.eps, rows.l2);
      for_lanes(length, [&](std::int64_t at, std::int64_t count) {
        Floats y = load(x, at, count) * factor;
        if (rows.weight.data != nullptr) y *= load(rows.weight, at, count);
        store(activated<decltype(activation)::value>(y), out, at, count);
      });
    }
  });
}

void guide(const GuideRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.cond.length();
  for (std::int64_t row = begin; row < end; ++row) {
    const Source cond = rows.cond.source(row), uncond = rows.uncond.source(row);
    const Sink out = rows.out.sink(row);
    const auto guided = [&](std::int64_t at, std::int64_t count) {
      const Floats u = load(uncond, at, count);
      return u + rows.factor * (load(cond, at, count) - u);
    };
    float ratio = 1.0f;
    if (rows.rescale) {
      Floats squares{};
      for_lanes(length, [&](std::int64_t at, std::int64_t count) {
        const Floats g = guided(at, count);
        squares += g * g;
      });
      ratio = __builtin_sqrtf(sum_of_squares(cond, length)) / __builtin_sqrtf(sum_lanes(squares));
    }
    for_lanes(length, [&](std::int64_t at, std::int64_t count) {
      store(guided(at, count) * ratio, out, at, count);
    });
  }
}

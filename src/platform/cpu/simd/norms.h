// Included inside each instruction set's namespace, after math.h: norms over rows. A row stays in
// the first- or second-level cache between its passes.

inline float sum_of(Source x, std::int64_t length) noexcept {
  Tile tile;
  Floats sum{};
  for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
    const float* const values = fetch(x, first, elements, tile);
    for_lanes(elements,
              [&](std::int64_t at, std::int64_t count) { sum += load(values + at, count); });
  });
  return sum_lanes(sum);
}

/// The sum of (x - centre)^2.
inline float sum_of_squares(Source x, float centre, std::int64_t length) noexcept {
  Tile tile;
  Floats squares{};
  for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
    const float* const values = fetch(x, first, elements, tile);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      const Floats centred = first_lanes(load(values + at, count) - centre, count);
      squares += centred * centred;
    });
  });
  return sum_lanes(squares);
}

void layer_norm(const LayerNormRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length();
  const auto hidden = static_cast<float>(length);
  Tile of_x, of_weight, of_bias, of_shift, of_scale, of_out;
  for (std::int64_t row = begin; row < end; ++row) {
    const Source x = rows.x.source(row), shift = rows.shift.source(row),
                 scale = rows.scale.source(row);
    const Sink out = rows.out.sink(row);
    const float mean = sum_of(x, length) / hidden;
    const float factor =
        1.0f / __builtin_sqrtf(sum_of_squares(x, mean, length) / hidden + rows.eps);
    for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
      const auto given = [&](Source from, Tile& tile) {
        return from.data == nullptr ? nullptr : fetch(from, first, elements, tile);
      };
      const float *const
          values = fetch(x, first, elements, of_x),
          *const weights = given(rows.weight, of_weight), *const biases = given(rows.bias, of_bias),
          *const scales = given(scale, of_scale), *const shifts = given(shift, of_shift);
      float* const to = target(out, first, of_out);
      for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
        Floats y = (load(values + at, count) - mean) * factor;
        if (weights != nullptr) y *= load(weights + at, count);
        if (biases != nullptr) y += load(biases + at, count);
        if (scales != nullptr) y *= 1.0f + load(scales + at, count);
        if (shifts != nullptr) y += load(shifts + at, count);
        store(y, to + at, count);
      });
      put(to, out, first, elements);
    });
  }
}

inline float rms_factor(float squares, std::int64_t length, float eps, bool l2) noexcept {
  const auto channels = static_cast<float>(length);
  if (!l2) return 1.0f / __builtin_sqrtf(squares / channels + eps);
  const float norm = __builtin_sqrtf(squares);
  return __builtin_sqrtf(channels) / (norm < eps ? eps : norm);
}

template <Activation kActivation>
inline void rms_norm_row(Source x, Source weight, float factor, Sink out,
                         std::int64_t length) noexcept {
  Tile of_x, of_weight, of_out;
  for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
    const float* const values = fetch(x, first, elements, of_x);
    const float* const weights =
        weight.data == nullptr ? nullptr : fetch(weight, first, elements, of_weight);
    float* const to = target(out, first, of_out);
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      Floats y = load(values + at, count) * factor;
      if (weights != nullptr) y *= load(weights + at, count);
      store(activated<kActivation>(y), to + at, count);
    });
    put(to, out, first, elements);
  });
}

void rms_norm(const RmsNormRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.x.length();
  with_activation(rows.activation, [&](auto activation) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Source x = rows.x.source(row);
      const float factor = rms_factor(sum_of_squares(x, 0, length), length, rows.eps, rows.l2);
      rms_norm_row<decltype(activation)::value>(x, rows.weight, factor, rows.out.sink(row), length);
    }
  });
}

void guide(const GuideRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t length = rows.cond.length();
  Tile of_cond, of_uncond, of_out;
  for (std::int64_t row = begin; row < end; ++row) {
    const Source cond = rows.cond.source(row), uncond = rows.uncond.source(row);
    const Sink out = rows.out.sink(row);
    // body(guided, first element of the tile, element, elements)
    const auto over_guided = [&](const auto& before, const auto& body, const auto& after) {
      for_tiles(length, [&](std::int64_t first, std::int64_t elements) {
        const float *const c = fetch(cond, first, elements, of_cond), *const u = fetch(
                                                                          uncond, first, elements,
                                                                          of_uncond);
        float* const to = before(first);
        for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
          const Floats base = load(u + at, count);
          body(base + rows.factor * (load(c + at, count) - base), to + at, count);
        });
        after(to, first, elements);
      });
    };
    float ratio = 1.0f;
    if (rows.rescale) {
      Floats squares{};
      over_guided([&](std::int64_t) { return of_out.values; },
                  [&](Floats g, float*, std::int64_t) { squares += g * g; },
                  [](const float*, std::int64_t, std::int64_t) {});
      ratio =
          __builtin_sqrtf(sum_of_squares(cond, 0, length)) / __builtin_sqrtf(sum_lanes(squares));
    }
    over_guided([&](std::int64_t first) { return target(out, first, of_out); },
                [&](Floats g, float* to, std::int64_t count) { store(g * ratio, to, count); },
                [&](const float* to, std::int64_t first, std::int64_t elements) {
                  put(to, out, first, elements);
                });
  }
}

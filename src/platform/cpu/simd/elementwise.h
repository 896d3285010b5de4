// Included inside each instruction set's namespace, after math.h: one pass over memory.

template <Activation kActivation>
inline void activate_tile(const float* x, float* to, std::int64_t elements) noexcept {
  for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
    store(activated<kActivation>(load(x + at, count)), to + at, count);
  });
}

void convert(Source from, Activation activation, Sink to, std::int64_t count) noexcept {
  if (activation == Activation::None && from.dtype == DType::F32) {
    narrow(reinterpret_cast<const float*>(from.data), to, count);
  } else if (activation == Activation::None && to.dtype == DType::F32) {
    widen(from, reinterpret_cast<float*>(to.data), count);
  } else {
    with_activation(activation, [&](auto tag) {
      Tile of_x, of_out;
      for_tiles(count, [&](std::int64_t first, std::int64_t elements) {
        float* const values = target(to, first, of_out);
        activate_tile<decltype(tag)::value>(fetch(from, first, elements, of_x), values, elements);
        put(values, to, first, elements);
      });
    });
  }
}

/// compute(x tiles, to, elements) over the tiles [begin, end) of a walk, operand 0 being written
/// and kInputs others read.
template <int kInputs, class Compute>
inline void over_walk(const Walk& walk, std::int64_t begin, std::int64_t end,
                      const Compute& compute) noexcept {
  Tile of_x[kInputs], of_out;
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided out = walk.at(0, tile);
    Strided from[kInputs];
    for (int i = 0; i < kInputs; ++i) from[i] = walk.at(1 + i, tile);
    for_tiles(walk.count(tile), [&](std::int64_t first, std::int64_t elements) {
      const float* x[kInputs];
      for (int i = 0; i < kInputs; ++i) x[i] = fetch(from[i], first, elements, of_x[i]);
      float* const to = target(out, first, of_out);
      compute(x, to, elements);
      put(to, out, first, elements);
    });
  }
}

void activate(const Walk& walk, Activation activation, std::int64_t begin,
              std::int64_t end) noexcept {
  with_activation(activation, [&](auto tag) {
    over_walk<1>(walk, begin, end, [](const float* const* x, float* to, std::int64_t elements) {
      activate_tile<decltype(tag)::value>(x[0], to, elements);
    });
  });
}

void gated_activate(const Walk& walk, Activation activation, std::int64_t begin,
                    std::int64_t end) noexcept {
  with_activation(activation, [&](auto tag) {
    over_walk<2>(walk, begin, end, [](const float* const* x, float* to, std::int64_t elements) {
      const float *const gate = x[0], *const up = x[1];
      for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
        store(activated<decltype(tag)::value>(load(gate + at, count)) * load(up + at, count),
              to + at, count);
      });
    });
  });
}

void add_gated(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  over_walk<3>(walk, begin, end, [](const float* const* x, float* to, std::int64_t elements) {
    const float *const before = x[0], *const y = x[1], *const gate = x[2];
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      store(load(before + at, count) + load(gate + at, count) * load(y + at, count), to + at,
            count);
    });
  });
}

void combine(const Walk& walk, const float* factors, std::int64_t begin,
             std::int64_t end) noexcept {
  const int terms = walk.operands() - 1;
  Tile of_x, of_out;
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided out = walk.at(0, tile);
    for_tiles(walk.count(tile), [&](std::int64_t first, std::int64_t elements) {
      for (int term = 0; term < terms; ++term) {
        const float factor = factors[term];
        const float* const x = fetch(walk.at(1 + term, tile), first, elements, of_x);
        float* const sum = of_out.values;
        for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
          const Floats added = factor * load(x + at, count);
          store(term == 0 ? added : load(sum + at, count) + added, sum + at, count);
        });
      }
      put(of_out.values, out, first, elements);
    });
  }
}

void scale_shift(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  over_walk<3>(walk, begin, end, [](const float* const* x, float* to, std::int64_t elements) {
    const float *const values = x[0], *const scale = x[1], *const shift = x[2];
    for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
      store(load(values + at, count) * load(scale + at, count) + load(shift + at, count), to + at,
            count);
    });
  });
}

bool all_finite(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  Tile of_x;
  Floats seen{};  // x - x is 0, or NaN for what is not finite, and NaN stays
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided x = walk.at(0, tile);
    for_tiles(walk.count(tile), [&](std::int64_t first, std::int64_t elements) {
      const float* const values = fetch(x, first, elements, of_x);
      for_lanes(elements, [&](std::int64_t at, std::int64_t count) {
        const Floats value = load(values + at, count);
        seen += value - value;
      });
    });
  }
  return sum_lanes(seen) == 0.0f;
}

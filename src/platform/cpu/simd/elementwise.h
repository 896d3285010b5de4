// Included inside each instruction set's namespace, after math.h: one pass over memory, no
// temporaries.

void convert(Source from, Activation activation, Sink to, std::int64_t count) noexcept {
  with_activation(activation, [&](auto tag) {
    for_lanes(count, [&](std::int64_t at, std::int64_t lanes) {
      store(activated<decltype(tag)::value>(load(from, at, lanes)), to, at, lanes);
    });
  });
}

void activate(const Walk& walk, Activation activation, std::int64_t begin,
              std::int64_t end) noexcept {
  with_activation(activation, [&](auto tag) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const Strided out = walk.at(0, tile), x = walk.at(1, tile);
      for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
        store(activated<decltype(tag)::value>(load(x, at, count)), out, at, count);
      });
    }
  });
}

void gated_activate(const Walk& walk, Activation activation, std::int64_t begin,
                    std::int64_t end) noexcept {
  with_activation(activation, [&](auto tag) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const Strided out = walk.at(0, tile), gate = walk.at(1, tile), up = walk.at(2, tile);
      for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
        store(activated<decltype(tag)::value>(load(gate, at, count)) * load(up, at, count), out, at,
              count);
      });
    }
  });
}

void add_gated(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided x = walk.at(0, tile), y = walk.at(1, tile), gate = walk.at(2, tile);
    for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
      store(load(x, at, count) + load(gate, at, count) * load(y, at, count), x, at, count);
    });
  }
}

void combine(const Walk& walk, const float* factors, std::int64_t begin,
             std::int64_t end) noexcept {
  const int terms = walk.operands() - 1;
  for (std::int64_t tile = begin; tile < end; ++tile) {
    Strided x[Walk::kMaxOperands];
    for (int term = 0; term < terms; ++term) x[term] = walk.at(1 + term, tile);
    const Strided out = walk.at(0, tile);
    for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
      Floats sum = factors[0] * load(x[0], at, count);
      for (int term = 1; term < terms; ++term) sum += factors[term] * load(x[term], at, count);
      store(sum, out, at, count);
    });
  }
}

void scale_shift(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided out = walk.at(0, tile), x = walk.at(1, tile), scale = walk.at(2, tile),
                  shift = walk.at(3, tile);
    for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
      store(load(x, at, count) * load(scale, at, count) + load(shift, at, count), out, at, count);
    });
  }
}

bool all_finite(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept {
  Floats seen{};  // x - x is 0, or NaN for what is not finite, and NaN stays
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const Strided x = walk.at(0, tile);
    for_lanes(walk.count(tile), [&](std::int64_t at, std::int64_t count) {
      const Floats values = load(x, at, count);
      seen += values - values;
    });
  }
  return sum_lanes(seen) == 0.0f;
}

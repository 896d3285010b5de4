// Included inside each instruction set's namespace, after vectors.h: a tile of an operand as f32 in
// the first-level cache, so that the loops over it need to know nothing but f32. An operand that is
// f32 already is used where it lies.

inline constexpr std::int64_t kTile = 1024;  // elements

struct alignas(64) Tile {
  float values[kTile];
};

inline void widen(Source from, float* to, std::int64_t count) noexcept {
  if (from.dtype == DType::F32) {
    __builtin_memcpy(to, from.data, static_cast<std::size_t>(count) * sizeof(float));
  } else if (from.dtype == DType::BF16) {
    for_lanes(count, [&](std::int64_t at, std::int64_t lanes) {
      store(from_bf16(load_lanes<Halves>(from.data + at * 2, lanes)), to + at, lanes);
    });
  } else {
    for_lanes(count, [&](std::int64_t at, std::int64_t lanes) {
      store(from_f16(load_lanes<Halves>(from.data + at * 2, lanes)), to + at, lanes);
    });
  }
}

inline void narrow(const float* from, Sink to, std::int64_t count) noexcept {
  if (to.dtype == DType::F32) {
    __builtin_memcpy(to.data, from, static_cast<std::size_t>(count) * sizeof(float));
  } else if (to.dtype == DType::BF16) {
    for_lanes(count, [&](std::int64_t at, std::int64_t lanes) {
      store_lanes(to_bf16_lanes(load(from + at, lanes)), to.data + at * 2, lanes);
    });
  } else {
    for_lanes(count, [&](std::int64_t at, std::int64_t lanes) {
      store_lanes(to_f16_lanes(load(from + at, lanes)), to.data + at * 2, lanes);
    });
  }
}

/// Elements [at, at + count) in f32: in place, or in `tile`.
inline const float* fetch(Source from, std::int64_t at, std::int64_t count, Tile& tile) noexcept {
  const std::byte* const first = from.data + at * static_cast<std::int64_t>(size_of(from.dtype));
  if (from.dtype == DType::F32) return reinterpret_cast<const float*>(first);
  widen({first, from.dtype}, tile.values, count);
  return tile.values;
}

inline const float* fetch(const Strided& from, std::int64_t at, std::int64_t count,
                          Tile& tile) noexcept {
  if (from.step == 1) return fetch(Source{from.data, from.dtype}, at, count, tile);
  const auto size = static_cast<std::int64_t>(size_of(from.dtype)) * from.step;
  const std::byte* const first = from.data + at * size;
  if (from.step == 0) {
    float value;
    widen({first, from.dtype}, &value, 1);
    for (std::int64_t i = 0; i < count; ++i) tile.values[i] = value;
  } else {
    for (std::int64_t i = 0; i < count; ++i)
      widen({first + i * size, from.dtype}, tile.values + i, 1);
  }
  return tile.values;
}

/// Where the results for elements from `at` on are to be computed: in place, or in `tile`.
inline float* target(Sink to, std::int64_t at, Tile& tile) noexcept {
  return to.dtype == DType::F32 ? reinterpret_cast<float*>(to.data) + at : tile.values;
}

inline float* target(const Strided& to, std::int64_t at, Tile& tile) noexcept {
  return to.step == 1 ? target(Sink{to.data, to.dtype}, at, tile) : tile.values;
}

/// Brings what was computed to its place, unless it was computed there.
inline void put(const float* computed, Sink to, std::int64_t at, std::int64_t count) noexcept {
  std::byte* const first = to.data + at * static_cast<std::int64_t>(size_of(to.dtype));
  if (reinterpret_cast<const std::byte*>(computed) != first)
    narrow(computed, {first, to.dtype}, count);
}

inline void put(const float* computed, const Strided& to, std::int64_t at,
                std::int64_t count) noexcept {
  if (to.step == 1) return put(computed, Sink{to.data, to.dtype}, at, count);
  const auto size = static_cast<std::int64_t>(size_of(to.dtype)) * to.step;
  for (std::int64_t i = 0; i < count; ++i)
    narrow(computed + i, {to.data + (at + i) * size, to.dtype}, 1);
}

/// body(first element, elements) for a tile at a time.
template <class Body>
inline void for_tiles(std::int64_t count, const Body& body) noexcept {
  for (std::int64_t at = 0; at < count; at += kTile)
    body(at, count - at < kTile ? count - at : kTile);
}

// Included by each kernels_*.cc inside its namespace and target region, after kLanes and the four
// conversions of 16-bit elements: kLanes floats at a time in the compiler's own vector types, so
// that every instruction set shares one source.

inline Floats splat(float x) noexcept {
  return x - Floats{};  // x - 0 is x, -0 and NaN included: compilers fold it
}

inline Floats max_of(Floats a, Floats b) noexcept {
  return a > b ? a : b;
}

template <class To, class From>
inline To same_bits(From x) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &x, sizeof to);
  return to;
}

/// The sum of all lanes, in pairs of halves.
template <class Vector>
inline float sum_lanes(Vector x) noexcept {
  constexpr std::size_t kCount = sizeof x / sizeof(float);
  if constexpr (kCount == 1) {
    return same_bits<float>(x);
  } else if constexpr (kCount == 4) {
    return (x[0] + x[2]) + (x[1] + x[3]);
  } else {
    typedef float Half __attribute__((vector_size(sizeof x / 2)));
    struct Halved {
      Half low, high;
    };
    const auto halves = same_bits<Halved>(x);
    return sum_lanes(halves.low + halves.high);
  }
}

inline float max_lane(Floats x) noexcept {
  float most = x[0];
  for (int lane = 1; lane < kLanes; ++lane) most = x[lane] > most ? x[lane] : most;
  return most;
}

/// `count` lanes from contiguous memory, 0 in those past it.
template <class Vector>
inline Vector load_lanes(const std::byte* from, std::int64_t count) noexcept {
  Vector x{};
  if (count == kLanes)
    __builtin_memcpy(&x, from, sizeof x);
  else
    __builtin_memcpy(&x, from, static_cast<std::size_t>(count) * (sizeof x / kLanes));
  return x;
}

template <class Vector>
inline void store_lanes(Vector x, std::byte* to, std::int64_t count) noexcept {
  if (count == kLanes)
    __builtin_memcpy(to, &x, sizeof x);
  else
    __builtin_memcpy(to, &x, static_cast<std::size_t>(count) * (sizeof x / kLanes));
}

/// Elements [at, at + count) as f32.
inline Floats load(Source from, std::int64_t at, std::int64_t count) noexcept {
  if (from.dtype == DType::F32) return load_lanes<Floats>(from.data + at * 4, count);
  const Halves x = load_lanes<Halves>(from.data + at * 2, count);
  return from.dtype == DType::BF16 ? from_bf16(x) : from_f16(x);
}

inline void store(Floats x, Sink to, std::int64_t at, std::int64_t count) noexcept {
  if (to.dtype == DType::F32) return store_lanes(x, to.data + at * 4, count);
  store_lanes(to.dtype == DType::BF16 ? to_bf16_lanes(x) : to_f16_lanes(x), to.data + at * 2,
              count);
}

inline float load_one(const std::byte* from, DType dtype) noexcept {
  return load(Source{from, dtype}, 0, 1)[0];
}

inline Floats load(const Strided& from, std::int64_t at, std::int64_t count) noexcept {
  if (from.step == 1) return load(Source{from.data, from.dtype}, at, count);
  if (from.step == 0) return splat(load_one(from.data, from.dtype));
  const auto size = static_cast<std::int64_t>(size_of(from.dtype)) * from.step;
  Floats x{};
  for (std::int64_t lane = 0; lane < count; ++lane)
    x[lane] = load_one(from.data + (at + lane) * size, from.dtype);
  return x;
}

inline void store(Floats x, const Strided& to, std::int64_t at, std::int64_t count) noexcept {
  if (to.step == 1) return store(x, Sink{to.data, to.dtype}, at, count);
  const auto size = static_cast<std::int64_t>(size_of(to.dtype)) * to.step;
  for (std::int64_t lane = 0; lane < count; ++lane)
    store(splat(x[lane]), Sink{to.data + (at + lane) * size, to.dtype}, 0, 1);
}

/// body(first element, elements) for a vector at a time; the last may be shorter.
template <class Body>
inline void for_lanes(std::int64_t count, const Body& body) noexcept {
  std::int64_t at = 0;
  for (; at + kLanes <= count; at += kLanes) body(at, std::int64_t{kLanes});
  if (at < count) body(at, count - at);
}

/// x in the first `count` lanes, 0 in the others.
inline Floats first_lanes(Floats x, std::int64_t count) noexcept {
  if (count == kLanes) return x;
  Floats kept{};
  for (std::int64_t lane = 0; lane < count; ++lane) kept[lane] = x[lane];
  return kept;
}

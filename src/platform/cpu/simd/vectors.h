// Included by each kernels_*.cc inside its namespace and target region, after kLanes and the four
// conversions of 16-bit elements: kLanes floats at a time in the compiler's own vector types, so
// that every instruction set shares one source.

[[gnu::always_inline]] inline Floats splat(float x) noexcept {
  return x - Floats{};  // x - 0 is x, -0 and NaN included: compilers fold it
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
[[gnu::always_inline]] inline Vector load_lanes(const void* from, std::int64_t count) noexcept {
  Vector x{};
  if (count == kLanes)
    __builtin_memcpy(&x, from, sizeof x);
  else
    __builtin_memcpy(&x, from, static_cast<std::size_t>(count) * (sizeof x / kLanes));
  return x;
}

template <class Vector>
[[gnu::always_inline]] inline void store_lanes(Vector x, void* to, std::int64_t count) noexcept {
  if (count == kLanes)
    __builtin_memcpy(to, &x, sizeof x);
  else
    __builtin_memcpy(to, &x, static_cast<std::size_t>(count) * (sizeof x / kLanes));
}

[[gnu::always_inline]] inline Floats load(const float* from, std::int64_t count) noexcept {
  return load_lanes<Floats>(from, count);
}

[[gnu::always_inline]] inline void store(Floats x, float* to, std::int64_t count) noexcept {
  store_lanes(x, to, count);
}

/// body(first element, elements) for a vector at a time; the last may be shorter.
template <class Body>
[[gnu::always_inline]] inline void for_lanes(std::int64_t count, const Body& body) noexcept {
  std::int64_t at = 0;
  for (; at + kLanes <= count; at += kLanes) body(at, std::int64_t{kLanes});
  if (at < count) body(at, count - at);
}

/// x in the first `count` lanes, 0 in the others.
[[gnu::always_inline]] inline Floats first_lanes(Floats x, std::int64_t count) noexcept {
  if (count == kLanes) return x;
  Floats kept{};
  for (std::int64_t lane = 0; lane < count; ++lane) kept[lane] = x[lane];
  return kept;
}

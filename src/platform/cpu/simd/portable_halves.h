// Included before vectors.h where there are no instructions for it: 16-bit elements to f32 and
// back, rounding to nearest even, and 1 / x.

inline Floats from_bf16(Halves x) noexcept {
  return (Floats)(__builtin_convertvector(x, Words) << 16);
}

inline Halves to_bf16_lanes(Floats x) noexcept {
  const Words bits = (Words)x;
  const Words rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const Words chosen = x == x ? rounded : (bits | 0x400000u);  // NaN stays NaN, made quiet
  return __builtin_convertvector(chosen >> 16, Halves);
}

/// The exponent is moved by a multiplication, which normalises subnormals on the way.
inline Floats from_f16(Halves x) noexcept {
  const Words bits = __builtin_convertvector(x, Words);
  const Words magnitude = (bits & 0x7fffu) << 13;
  const Floats finite = (Floats)magnitude * 0x1p112f;
  const Words special = magnitude | 0x7f800000u;  // infinity and NaN
  const Words chosen = magnitude >= 0x0f800000u ? special : (Words)finite;
  return (Floats)(chosen | ((bits & 0x8000u) << 16));
}

inline Halves to_f16_lanes(Floats x) noexcept {
  Halves made{};
  for (int lane = 0; lane < kLanes; ++lane) made[lane] = to_f16(x[lane]).bits;
  return made;
}

inline Floats reciprocal(Floats x) noexcept {
  return 1.0f / x;
}

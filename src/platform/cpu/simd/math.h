// Included inside each instruction set's namespace, after vectors.h: exp and the activations, for
// kLanes values at once.

/// e^x for x below 1, with a relative error below 2e-7; 0 below -87.3. NaN stays NaN.
/// Method: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by a polynomial of degree 6 whose relative
/// error is least (Remez; 2e-8 with its coefficients in f32), exact at 0.
[[gnu::always_inline]] inline Floats exp_lanes(Floats x) noexcept {
  constexpr float kLog2e = 1.44269504088896341f, kLeast = -87.3f;
  constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723e-6f;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats bounded = x < kLeast ? splat(kLeast) : x;
  const Floats shifted = bounded * kLog2e + kMagic;
  const Floats n = shifted - kMagic;
  const Floats r = (bounded - n * kLn2High) - n * kLn2Low;
  Floats p = splat(0x1.6ac290p-10f);
  p = p * r + 0x1.126e4ap-7f;
  p = p * r + 0x1.555890p-5f;
  p = p * r + 0x1.555408p-3f;
  p = p * r + 0x1.fffffap-2f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints power = (Ints)shifted - 0x4b400000;  // the bits of kMagic
  return x < kLeast ? Floats{} : p * (Floats)((power + 127) << 23);
}

[[gnu::always_inline]] inline Floats magnitude(Floats x) noexcept {
  return (Floats)((Words)x & 0x7fffffffu);
}

/// 1 / (1 + e^-x), by the exponential that cannot overflow.
[[gnu::always_inline]] inline Floats sigmoid(Floats x) noexcept {
  const Floats e = exp_lanes(-magnitude(x));
  return (x < 0.0f ? e : splat(1.0f)) * reciprocal(1.0f + e);
}

/// x * Phi(x): the complementary error function by the Chebyshev fit of Press et al., Numerical
/// Recipes, section 6.2 (relative error below 1.2e-7 everywhere).
[[gnu::always_inline]] inline Floats gelu_erf(Floats x) noexcept {
  constexpr float kCoefficient[10] = {-1.26551223f, 1.00002368f, 0.37409196f,  0.09678418f,
                                      -0.18628806f, 0.27886807f, -1.13520398f, 1.48851587f,
                                      -0.82215223f, 0.17087277f};
  const Floats z = magnitude(x) * 0.707106781186547524f;
  const Floats t = reciprocal(1.0f + 0.5f * z);
  Floats p = splat(kCoefficient[9]);
  for (int i = 8; i >= 0; --i) p = p * t + kCoefficient[i];
  const Floats tail = 0.5f * t * exp_lanes(p - z * z);  // Phi(-|x|)
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

template <Activation kActivation>
[[gnu::always_inline]] inline Floats activated(Floats x) noexcept {
  if constexpr (kActivation == Activation::Silu) {
    return x * sigmoid(x);
  } else if constexpr (kActivation == Activation::GeluTanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u))
    constexpr float kTwoRootTwoOverPi = 1.59576912160573071f;
    return x * sigmoid(x * (kTwoRootTwoOverPi + (kTwoRootTwoOverPi * 0.044715f) * x * x));
  } else if constexpr (kActivation == Activation::GeluErf) {
    return gelu_erf(x);
  } else if constexpr (kActivation == Activation::QuickGelu) {
    return x * sigmoid(x * 1.702f);
  } else if constexpr (kActivation == Activation::Relu) {
    return x < 0.0f ? Floats{} : x;
  } else {
    return x;
  }
}

template <Activation kActivation>
struct ActivationTag {
  static constexpr Activation value = kActivation;
};

/// f(ActivationTag of `activation`).
template <class F>
inline void with_activation(Activation activation, const F& f) noexcept {
  switch (activation) {
    case Activation::None:
      return f(ActivationTag<Activation::None>{});
    case Activation::Silu:
      return f(ActivationTag<Activation::Silu>{});
    case Activation::GeluTanh:
      return f(ActivationTag<Activation::GeluTanh>{});
    case Activation::GeluErf:
      return f(ActivationTag<Activation::GeluErf>{});
    case Activation::QuickGelu:
      return f(ActivationTag<Activation::QuickGelu>{});
    case Activation::Relu:
      return f(ActivationTag<Activation::Relu>{});
  }
}

// Included inside each instruction set's namespace, after vectors.h: exp and the activations, for
// kLanes values at once.

/// e^x with a relative error below 2e-7; 0 below -87.3, infinity above 88.7. NaN stays NaN.
/// Method: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7.
inline Floats exp_lanes(Floats x) noexcept {
  constexpr float kLog2e = 1.44269504088896341f;
  constexpr float kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723e-6f;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats bounded = x > 88.8f ? splat(88.8f) : (x < -87.4f ? splat(-87.4f) : x);
  const Floats shifted = bounded * kLog2e + kMagic;
  const Floats n = shifted - kMagic;
  const Floats r = (bounded - n * kLn2High) - n * kLn2Low;
  Floats p = splat(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // 2^n in two factors, since n = 128 has no f32 of its own.
  const Ints power = (Ints)shifted - 0x4b400000;
  const Ints half = power >> 1;
  const Floats scaled = p * (Floats)((half + 127) << 23) * (Floats)((power - half + 127) << 23);
  return x < -87.4f ? Floats{} : scaled;
}

inline Floats sigmoid_times(Floats x, Floats argument) noexcept {
  return x / (1.0f + exp_lanes(-argument));
}

/// x * Phi(x): the complementary error function by the Chebyshev fit of Press et al., Numerical
/// Recipes, section 6.2 (relative error below 1.2e-7 everywhere).
inline Floats gelu_erf(Floats x) noexcept {
  constexpr float kCoefficient[10] = {-1.26551223f, 1.00002368f, 0.37409196f,  0.09678418f,
                                      -0.18628806f, 0.27886807f, -1.13520398f, 1.48851587f,
                                      -0.82215223f, 0.17087277f};
  const Floats z = (x < 0.0f ? -x : x) * 0.707106781186547524f;
  const Floats t = 1.0f / (1.0f + 0.5f * z);
  Floats p = splat(kCoefficient[9]);
  for (int i = 8; i >= 0; --i) p = p * t + kCoefficient[i];
  const Floats tail = 0.5f * t * exp_lanes(p - z * z);  // Phi(-|x|)
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

template <Activation kActivation>
inline Floats activated(Floats x) noexcept {
  if constexpr (kActivation == Activation::Silu) {
    return sigmoid_times(x, x);
  } else if constexpr (kActivation == Activation::GeluTanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u))
    constexpr float kTwoRootTwoOverPi = 1.59576912160573071f;
    return sigmoid_times(x, x * (kTwoRootTwoOverPi + (kTwoRootTwoOverPi * 0.044715f) * x * x));
  } else if constexpr (kActivation == Activation::GeluErf) {
    return gelu_erf(x);
  } else if constexpr (kActivation == Activation::QuickGelu) {
    return sigmoid_times(x, x * 1.702f);
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

// Portable kernel: vectors of four f32 that any compiler lowers to what its target always has.
#include "attention/cpu/bytes.h"

namespace annulus::flash {
namespace {

inline float scalar_of(std::uint16_t bits, bool bf16) noexcept {
  return bf16 ? to_float(Bf16{bits}) : to_float(F16{bits});
}

struct Scalar {
  using V [[gnu::vector_size(16)]] = float;
  using I [[gnu::vector_size(16)]] = std::int32_t;
  using U [[gnu::vector_size(16)]] = std::uint32_t;
  using Packed = V;
  static constexpr std::int64_t kLanes = 4, kPanel = 8, kBlock = 128, kWordStep = 1, kKeyStep = 4;
  static constexpr std::int64_t kFetchSteps = 8, kRowsAtOnce = 1;
  static constexpr int kTileRows = 4;
  static constexpr bool kPairs = false;

  static V set(float x) noexcept { return V{x, x, x, x}; }
  static V load(const float* p) noexcept { return V{p[0], p[1], p[2], p[3]}; }
  static void store(float* p, V x) noexcept { __builtin_memcpy(p, &x, sizeof x); }
  static V add(V a, V b) noexcept { return a + b; }
  static V sub(V a, V b) noexcept { return a - b; }
  static V mul(V a, V b) noexcept { return a * b; }
  static V fma(V a, V b, V c) noexcept { return a * b + c; }
  static V max(V a, V b) noexcept { return a > b ? a : b; }  // b where either is NaN
  static float first(V x) noexcept { return x[0]; }
  static float reduce_add(V x) noexcept { return (x[0] + x[2]) + (x[1] + x[3]); }
  static float reduce_max(V x) noexcept {
    const float a = x[0] > x[1] ? x[0] : x[1], b = x[2] > x[3] ? x[2] : x[3];
    return a > b ? a : b;
  }

  static Packed load_packed(const Word* p) noexcept {
    V x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  static Packed repeat(const Word* p) noexcept { return set(__builtin_bit_cast(float, *p)); }
  static V dot(V sum, Packed a, Packed b) noexcept { return sum + a * b; }

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    return register_tile<Scalar, kStride, kTileRows>(rows, vectors);
  }
  static void enter() noexcept {}
  static void leave() noexcept {}

  static V load_bf16(const std::uint16_t* p) noexcept {
    return V{scalar_of(p[0], true), scalar_of(p[1], true), scalar_of(p[2], true),
             scalar_of(p[3], true)};
  }
  static V load_f16(const std::uint16_t* p) noexcept {
    return V{scalar_of(p[0], false), scalar_of(p[1], false), scalar_of(p[2], false),
             scalar_of(p[3], false)};
  }
  static void store_bf16(std::uint16_t* p, V x) noexcept {
    for (int lane = 0; lane < 4; ++lane) p[lane] = to_bf16(x[lane]).bits;
  }
  static void store_f16(std::uint16_t* p, V x) noexcept {
    for (int lane = 0; lane < 4; ++lane) p[lane] = to_f16(x[lane]).bits;
  }
  static void transpose(V (&x)[kLanes]) noexcept {
    const V a = x[0], b = x[1], c = x[2], d = x[3];
    for (int lane = 0; lane < 4; ++lane) x[lane] = V{a[lane], b[lane], c[lane], d[lane]};
  }
  /// Element n: the sum of x[n].
  static V sum_each(V (&x)[kLanes]) noexcept {
    transpose(x);
    return (x[0] + x[2]) + (x[1] + x[3]);
  }
  static I repeat_ints(Word x) noexcept {
    const auto n = static_cast<std::int32_t>(x);
    return I{n, n, n, n};
  }
  static I load_ints(const Word* p) noexcept {
    I x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }
  /// VPDPBUSD: sum + four products of unsigned bytes of a and signed bytes of b, exact.
  static I dot_bytes(I sum, I a, I b) noexcept {
    for (int byte = 0; byte < 4; ++byte) {
      const int up = 24 - 8 * byte;
      sum += ((a >> (8 * byte)) & 0xff) *
             (__builtin_bit_cast(I, __builtin_bit_cast(U, b) << up) >> 24);
    }
    return sum;
  }
  static V floats_of(I x) noexcept { return __builtin_convertvector(x, V); }
  /// To the nearest integers, |x| < 2^22.
  static void store_bytes(std::int8_t* p, V x) noexcept {
    const I bits = __builtin_bit_cast(I, x + 12582912.0f);  // 1.5 * 2^23
    for (int lane = 0; lane < 4; ++lane) p[lane] = static_cast<std::int8_t>(bits[lane] & 0xff);
  }
  /// x with the sign bits of `sign` flipped.
  static V flip(V x, V sign) noexcept {
    return __builtin_bit_cast(V, __builtin_bit_cast(I, x) ^ __builtin_bit_cast(I, sign));
  }
  /// The larger magnitudes as integers: finds NaN and Inf among words.
  static V larger_bits(V largest, V words) noexcept {
    const I a = __builtin_bit_cast(I, largest), b = __builtin_bit_cast(I, words) & INT32_MAX;
    return __builtin_bit_cast(V, a > b ? a : b);
  }
  static bool any_not_finite(V largest) noexcept {
    const I bits = __builtin_bit_cast(I, largest) >= 0x7f800000;
    return (bits[0] | bits[1] | bits[2] | bits[3]) != 0;
  }

  /// x where the boolean mask's row says so from key `at` on, kNone in the others.
  static V hide_unseen(V x, const Rows& row, std::int64_t at, std::int64_t last) noexcept {
    const auto* const seen = reinterpret_cast<const std::uint8_t*>(row.data);
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      if (at + lane >= last || seen[(at + lane) * row.inner] == 0) x[lane] = kNone;
    return x;
  }
  /// Lanes [from, to) of x, kNone in the others.
  static V between(V x, std::int64_t from, std::int64_t to) noexcept {
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      if (lane < from || lane >= to) x[lane] = kNone;
    return x;
  }
  /// kNone where `added` is kNone, else x.
  static V hide(V x, V added) noexcept { return added == set(kNone) ? set(kNone) : x; }

  /// 2^(x * unit) for x <= 0, 0 below 2^-126; NaN stays NaN. Within 3 ulp
  /// of 2^(the rounded product): exp_test.cc tries every fraction.
  static V exp2(V x, V unit) noexcept {
    const V t = x * unit, lowest = set(-126.0f), shift = set(12582912.0f);  // 1.5 * 2^23
    const V y = t < lowest ? lowest : t;
    const V rounded = y + shift, n = rounded - shift, f = y - n;
    V p = set(0x1.5c08e6p-10f);
    for (const float c :
         {0x1.3d0c52p-7f, 0x1.c6b6e4p-5f, 0x1.ebf918p-3f, 0x1.62e428p-1f, 0x1.000002p+0f})
      p = p * f + set(c);
    // The low bits of `rounded` hold n. NaN keeps the high bits of its mantissa only.
    const I bits = __builtin_bit_cast(I, p) + (__builtin_bit_cast(I, rounded) << 23);
    return t < lowest ? set(0.0f) : (t == t ? __builtin_bit_cast(V, bits) : t);
  }
};

constexpr Kernel kKernel = kernel_of<Scalar>("scalar f32");
constexpr Kernel kBytes = kernel_of_bytes<Scalar>("scalar int8");

}  // namespace

const Kernel& scalar_f32() noexcept {
  return kKernel;
}

const Kernel& scalar_int8() noexcept {
  return kBytes;
}

}  // namespace annulus::flash

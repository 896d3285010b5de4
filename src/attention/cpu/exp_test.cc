#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "attention/cpu/flash.h"
#include "attention/cpu/kernel.h"

namespace annulus::flash {
namespace {

struct Named {
  const Kernel* kernel;
  double ulp;  // what its comment promises
};

std::vector<Named> kernels() {
  const Isa best = usable_isas().back();
  std::vector<Named> all = {{&scalar_f32(), 3}};
  if (best >= Isa::Avx2) all.push_back({&avx2_f32(), 3});
  if (best >= Isa::Avx512) all.push_back({&avx512_f32(), 2.2});
  if (best >= Isa::Avx512) all.push_back({&avx512_bf16_emulated(), 44.3});
  return all;
}

// The distance between neighbouring f32 at x, normal.
long double spacing(long double x) {
  return std::ldexp(1.0L, std::ilogb(x) - 23);
}

// The largest error over x, in units of the f32 spacing at the exact value.
double largest_ulp(const Kernel& kernel, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  kernel.exp2(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  long double largest = 0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const long double exact = std::exp2(static_cast<long double>(x[n]));
    largest = std::max(largest, std::fabs(y[n] - exact) / spacing(exact));
  }
  return static_cast<double>(largest);
}

// Where x = n + f, 2^x is a polynomial of f times 2^n, and that product is exact: one octave shows
// all that there is. The polynomials see f on a grid of 2^-24; here is every point of it.
TEST(Exp2, IsAsExactAsPromisedForEveryFraction) {
  constexpr int kChunk = 1 << 12, kChunks = 1 << 12;
  const std::vector<Named> all = kernels();
  std::vector<double> largest(all.size());
  std::vector<float> x(kChunk), y(kChunk);
  std::vector<long double> fine(kChunk);  // 2^(-n 2^-24)
  for (int n = 0; n < kChunk; ++n) fine[n] = std::exp2(-std::ldexp(1.0L * n, -24));
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    const long double coarse = std::exp2(-std::ldexp(1.0L * chunk, -12));
    for (int n = 0; n < kChunk; ++n)
      x[n] = -std::ldexp(static_cast<float>(chunk * kChunk + n), -24);
    for (std::size_t k = 0; k < all.size(); ++k) {
      all[k].kernel->exp2(x.data(), y.data(), kChunk);
      long double most = 0;
      for (int n = 0; n < kChunk; ++n) most = std::max(most, std::fabs(y[n] - coarse * fine[n]));
      largest[k] = std::max(largest[k], static_cast<double>(most * 0x1p24L));
    }
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    RecordProperty(all[k].kernel->name, std::to_string(largest[k]));
    EXPECT_LE(largest[k], all[k].ulp) << all[k].kernel->name;
  }
}

TEST(Exp2, IsAsExactInEveryOctave) {
  std::mt19937 random(1);
  std::vector<float> x;
  for (int octave = 0; octave < 125; ++octave)
    for (int n = 0; n < 4096; ++n)
      x.push_back(-static_cast<float>(octave) - std::ldexp(static_cast<float>(random() >> 8), -24));
  for (int exponent = 1; exponent < 60; ++exponent)  // just below 0
    for (int n = 0; n < 16; ++n)
      x.push_back(-std::ldexp(1.0f + static_cast<float>(n) / 16, -exponent));
  for (const Named& named : kernels())
    EXPECT_LE(largest_ulp(*named.kernel, x), named.ulp) << named.kernel->name;
}

TEST(Exp2, EndsAtZeroAndKeepsNan) {
  const float least = std::numeric_limits<float>::min();
  std::vector<float> x = {0.0f,    -0.0f,   -125.9f, -126.0f, -126.1f, -130.0f,    -149.0f, -150.0f,
                          -151.0f, -200.0f, -1e4f,   -1e20f,  -3e38f,  -HUGE_VALF, NAN,     -NAN};
  for (const Named& named : kernels()) {
    std::vector<float> y(x.size());
    named.kernel->exp2(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    EXPECT_NEAR(y[0], 1.0f, named.ulp * 0x1p-23) << named.kernel->name;
    EXPECT_NEAR(y[1], 1.0f, named.ulp * 0x1p-23) << named.kernel->name;
    for (std::size_t n = 2; n < 9; ++n)
      EXPECT_NEAR(y[n], std::exp2(x[n]), least * 1.0001f) << named.kernel->name << " at " << x[n];
    for (std::size_t n = 9; n < 14; ++n) EXPECT_EQ(y[n], 0.0f) << named.kernel->name;
    EXPECT_TRUE(std::isnan(y[14]) && std::isnan(y[15])) << named.kernel->name;
  }
}

}  // namespace
}  // namespace annulus::flash

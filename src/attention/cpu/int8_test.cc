#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "attention/cpu/flash.h"
#include "attention/random_case.h"
#include "attention/reference.h"

namespace annulus {
namespace {

TEST(FlashInt8, IsWithinTheErrorOfInt8OfTheReferenceOnRandomCases) {
  HostDevice device(1);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const RandomCase c(device, seed);
    if (flash_int8_attention(Isa::Scalar).refusal(spec_of(c.args(), true))) continue;
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    for (const Isa isa : usable_isas()) {
      const AttentionResult got = c.run(flash_int8_attention(isa), c.out_dtype());
      ASSERT_EQ(c.compare(got, expected, c.out_dtype(), c.int8_score_error()), "")
          << name_of(isa) << ", seed " << seed << ": " << c.text();
    }
  }
}

TEST(FlashInt8, FoldingPiecesEqualsTheWholeWithinItsError) {
  HostDevice device(1);
  int tried = 0;
  for (std::uint64_t seed = 1; tried < 60; ++seed) {
    const RandomCase c(device, seed);
    if (!c.splits_by_key() || flash_int8_attention(Isa::Scalar).refusal(spec_of(c.args(), true)))
      continue;
    ++tried;
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    for (const Isa isa : usable_isas())
      ASSERT_EQ(c.compare(c.fold(flash_int8_attention(isa), 1 + static_cast<int>(seed % 3)),
                          expected, DType::F32, c.int8_score_error()),
                "")
          << name_of(isa) << ", seed " << seed << ": " << c.text();
  }
}

struct Qkv {
  Tensor q, k, v;
};

// Normal values; keys share an offset of `offset` deviations in every channel.
Qkv normal_inputs(HostDevice& device, float offset) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  Qkv in;
  for (Tensor* const x : {&in.q, &in.k, &in.v}) {
    *x = Tensor::empty({1, 300, 2, 64}, DType::F32, device);
    for (std::int64_t n = 0; n < x->elements(); ++n)
      x->data<float>()[n] =
          normal(random) + (x == &in.k ? offset * static_cast<float>(n % 64 % 5) : 0);
  }
  return in;
}

struct Result {
  std::vector<float> out, lse;
};

Result run(HostDevice& device, const AttentionBackend& backend, const Qkv& in, int threads) {
  HostDevice other(threads);
  const auto stream = other.make_stream();
  Workspace workspace(other);
  Tensor out = Tensor::empty(in.q.shape(), DType::F32, device);
  Tensor lse = Tensor::empty({1, 2, 300}, DType::F32, device);
  backend.run(*stream, workspace, {.q = in.q, .k = in.k, .v = in.v}, out, &lse);
  return {{out.data<float>(), out.data<float>() + out.elements()},
          {lse.data<float>(), lse.data<float>() + lse.elements()}};
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t n = 0; n < a.size(); ++n)
    sum += std::pow(static_cast<double>(a[n]) - static_cast<double>(b[n]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

// What all keys have in common moves every score of a row alike: without smoothing it would take
// the bytes' range, and without adding it again the log-sum-exp would be wrong.
TEST(FlashInt8, AnOffsetOfAllKeysCostsNoAccuracyAndIsInTheLse) {
  HostDevice device(1);
  for (const Isa isa : usable_isas()) {
    double error[2][2];
    for (const int shifted : {0, 1}) {
      const Qkv in = normal_inputs(device, shifted == 0 ? 0.0f : 30.0f);
      const Result expected = run(device, reference_attention(), in, 1);
      const Result got = run(device, flash_int8_attention(isa), in, 1);
      error[shifted][0] = rms(got.out, expected.out);
      error[shifted][1] = rms(got.lse, expected.lse);
    }
    EXPECT_LE(error[1][0], 1.5 * error[0][0]) << name_of(isa);
    EXPECT_LE(error[1][1], 1.5 * error[0][1] + 1e-4) << name_of(isa);
    EXPECT_LE(error[0][0], 2e-3) << name_of(isa);  // of values near 1
  }
}

TEST(FlashInt8, AnyNumberOfThreadsGivesTheSameBits) {
  HostDevice device(1);
  const Qkv in = normal_inputs(device, 0);
  for (const Isa isa : usable_isas()) {
    const Result one = run(device, flash_int8_attention(isa), in, 1);
    const Result three = run(device, flash_int8_attention(isa), in, 3);
    EXPECT_EQ(one.out, three.out) << name_of(isa);
    EXPECT_EQ(one.lse, three.lse) << name_of(isa);
  }
}

TEST(FlashInt8, TheInstructionForBytesSpeltOutGivesItsBits) {
  if (usable_isas().back() < Isa::Avx512 || !has_vnni())
    GTEST_SKIP() << "this CPU has no AVX512-VNNI";
  HostDevice device(1);
  const Qkv in = normal_inputs(device, 1);
  const Result with = run(device, flash_int8_attention(Isa::Avx512), in, 1);
  const Result without = run(device, flash_int8_attention_emulated(), in, 1);
  EXPECT_EQ(with.out, without.out);
  EXPECT_EQ(with.lse, without.lse);
}

TEST(FlashInt8, LargeHeadsAreRefused) {
  const AttentionSpec spec = {.heads = 1, .kv_heads = 1, .head_dim = 264};
  EXPECT_EQ(flash_int8_attention(Isa::Scalar).refusal(spec),
            "no kernel for head_dim 264, only up to 256");
}

}  // namespace
}  // namespace annulus

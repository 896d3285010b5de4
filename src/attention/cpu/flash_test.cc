#include "attention/cpu/flash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>

#include "attention/random_case.h"
#include "attention/reference.h"
#include "base/environment.h"

namespace annulus {
namespace {

struct Named {
  std::string name;
  const AttentionBackend* backend;
};

std::vector<Named> kernels() {
  std::vector<Named> all;
  for (const Isa isa : usable_isas())
    all.push_back({std::string(name_of(isa)), &flash_attention(isa)});
  if (usable_isas().back() >= Isa::Avx512)
    all.push_back({"avx512_bf16 emulated", &flash_attention_emulated_bf16()});
  return all;
}

// NaN is NaN whatever its payload.
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t n = 0; n < a.size(); ++n)
    if (std::bit_cast<std::uint32_t>(a[n]) != std::bit_cast<std::uint32_t>(b[n]) &&
        !(std::isnan(a[n]) && std::isnan(b[n])))
      return false;
  return a.size() == b.size();
}

// Random small calls over all options, each against double precision on every instruction set here.
// ANNULUS_CASES=n runs n of them, ANNULUS_FIRST_CASE=s begins at seed s (a failure prints it).
TEST(Flash, EqualsTheReferenceOnRandomCases) {
  const auto number = [](const char* name, std::uint64_t otherwise) {
    const std::string text(environment(name));
    return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
  };
  const std::uint64_t first = number("ANNULUS_FIRST_CASE", 1),
                      count = number("ANNULUS_CASES", 10000);
  HostDevice device(1);
  const std::vector<Named> all = kernels();
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const RandomCase c(device, seed);
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    for (const Named& kernel : all) {
      const AttentionResult got = c.run(*kernel.backend, c.out_dtype());
      const std::string wrong = c.compare(got, expected, c.out_dtype());
      ASSERT_EQ(wrong, "") << kernel.name << ", " << c.text()
                           << "\nrepeat: ANNULUS_FIRST_CASE=" << seed << " ANNULUS_CASES=1";
    }
  }
}

TEST(Flash, AnyNumberOfThreadsGivesTheSameBits) {
  HostDevice device(1);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const RandomCase c(device, seed);
    for (const Named& kernel : kernels()) {
      const AttentionResult one = c.run(*kernel.backend, c.out_dtype(), 1);
      for (const int threads : {2, 3}) {
        const AttentionResult many = c.run(*kernel.backend, c.out_dtype(), threads);
        ASSERT_TRUE(same_bits(one.out, many.out) && same_bits(one.lse, many.lse))
            << kernel.name << ", " << threads << " threads, seed " << seed << ", " << c.text();
      }
    }
  }
}

// Few queries, many keys: keys are divided between threads, in the same way for any number of them.
TEST(Flash, KeysDividedBetweenThreadsGiveTheSameBitsAndEqualTheReference) {
  HostDevice device(1);
  const auto run = [&](const AttentionBackend& backend, const Tensor& q, const Tensor& kv,
                       int threads) {
    HostDevice other(threads);
    const auto stream = other.make_stream();
    Workspace workspace(other);
    Tensor out = Tensor::empty(q.shape(), DType::F32, device);
    Tensor lse = Tensor::empty({1, q.shape()[2], q.shape()[1]}, DType::F32, device);
    backend.run(*stream, workspace, {.q = q, .k = kv, .v = kv}, out, &lse);
    AttentionResult result;
    result.out.assign(out.data<float>(), out.data<float>() + out.elements());
    result.lse.assign(lse.data<float>(), lse.data<float>() + lse.elements());
    return result;
  };
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const DType dtype : {DType::F32, DType::BF16})
    for (const std::int64_t seq_q : {1, 30}) {
      Tensor q = Tensor::empty({1, seq_q, 2, 64}, dtype, device);
      Tensor kv = Tensor::empty({1, 3001, 2, 64}, dtype, device);
      for (Tensor* const x : {&q, &kv})
        with_floating(dtype, [&](auto type) {
          using T = decltype(type);
          T* const to = x->data<T>();
          for (std::int64_t n = 0; n < x->elements(); ++n) to[n] = convert<T>(normal(random));
        });
      const AttentionResult expected = run(reference_attention(), q, kv, 1);
      for (const Named& kernel : kernels()) {
        const AttentionResult one = run(*kernel.backend, q, kv, 1);
        const float bound = dtype == DType::BF16 ? 2e-3f : 2e-6f;
        for (std::size_t n = 0; n < one.out.size(); ++n)
          ASSERT_NEAR(one.out[n], expected.out[n], bound) << kernel.name;
        for (std::size_t n = 0; n < one.lse.size(); ++n)
          ASSERT_NEAR(one.lse[n], expected.lse[n], 1e-5f) << kernel.name;
        for (const int threads : {2, 3, 7}) {
          const AttentionResult many = run(*kernel.backend, q, kv, threads);
          ASSERT_TRUE(same_bits(one.out, many.out) && same_bits(one.lse, many.lse))
              << kernel.name << ", " << threads << " threads";
        }
      }
    }
}

TEST(Flash, FoldingPiecesEqualsTheWhole) {
  HostDevice device(1);
  int tried = 0;
  for (std::uint64_t seed = 1; tried < 150; ++seed) {
    const RandomCase c(device, seed);
    if (!c.splits_by_key()) continue;
    ++tried;
    const AttentionResult expected = c.run(reference_attention(), DType::F32);
    for (const Named& kernel : kernels())
      ASSERT_EQ(
          c.compare(c.fold(*kernel.backend, 1 + static_cast<int>(seed % 4)), expected, DType::F32),
          "")
          << kernel.name << ", seed " << seed << ", " << c.text();
  }
}

TEST(Flash, TheSpeltOutBf16InstructionsGiveTheBitsOfTheUnits) {
  if (usable_isas().back() < Isa::Avx512Bf16) GTEST_SKIP() << "this CPU has no bf16 units";
  HostDevice device(1);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const RandomCase c(device, seed);
    const AttentionResult units = c.run(flash_attention(Isa::Avx512Bf16), DType::F32);
    const AttentionResult emulated = c.run(flash_attention_emulated_bf16(), DType::F32);
    ASSERT_TRUE(same_bits(units.out, emulated.out) && same_bits(units.lse, emulated.lse))
        << "seed " << seed << ", " << c.text();
  }
}

}  // namespace
}  // namespace annulus

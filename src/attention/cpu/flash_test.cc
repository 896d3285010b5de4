#include "attention/cpu/flash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "attention/random_case.h"
#include "attention/reference.h"

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

// Random small calls over all options, each against double precision on every instruction set here.
// ANNULUS_CASES=n runs n of them, ANNULUS_FIRST_CASE=s begins at seed s (a failure prints it).
TEST(Flash, EqualsTheReferenceOnRandomCases) {
  const auto number = [](const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read only
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  };
  const std::uint64_t first = number("ANNULUS_FIRST_CASE", 1),
                      count = number("ANNULUS_CASES", 2000);
  HostDevice device(3);
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

}  // namespace
}  // namespace annulus

#include <array>
#include <cstdint>
#include <string>

#include "attention/cpu/flash.h"
#include "base/environment.h"
#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace annulus {

namespace {

constexpr std::array kAll = {Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx};

#if defined(__x86_64__)

struct Registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) noexcept {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

constexpr bool has(std::uint32_t bits, std::initializer_list<int> wanted) noexcept {
  for (const int bit : wanted)
    if ((bits >> bit & 1u) == 0) return false;
  return true;
}

// Register files that the operating system saves (XCR0); 0 when it saves none by XSAVE.
std::uint64_t saved_state() noexcept {
  constexpr int kOsXsave = 27;
  if (!has(cpuid(1, 0).c, {kOsXsave})) return 0;
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

// Linux keeps the tiles from a process until it asks, once (arch_prctl ARCH_REQ_XCOMP_PERM).
bool tiles_granted() noexcept {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Intel's cores from Golden Cove on, which are those with AVX512-FP16, begin a VDPBF16PS every
// second cycle and two f32 FMAs each: 235 against 461 GFLOP/s on a Xeon (`annulus bench peak`).
// Without AMX they do better to widen bf16. AMD's (Zen 4: 460 against 230) and Intel's before have
// the instruction at twice the rate of FMA.
bool bf16_units_are_slow() noexcept {
  const Registers vendor = cpuid(0, 0);
  constexpr std::uint32_t kGenu = 0x756e6547;
  return vendor.b == kGenu && has(cpuid(7, 0).d, {23});
}

bool usable(Isa isa) noexcept {
  // Bits of XCR0 and cpuid: Intel SDM vol. 1 chapter 13, vol. 2 CPUID.
  const std::uint64_t state = saved_state();
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0);
  const std::uint32_t deepest = seven.a;
  switch (isa) {
    case Isa::Scalar:
      return true;
    case Isa::Avx2:  // FMA, AVX, F16C; AVX2
      return (state & 0x6) == 0x6 && has(one.c, {12, 28, 29}) && has(seven.b, {5});
    case Isa::Avx512:  // F, DQ, CD, BW, VL
      return (state & 0xe6) == 0xe6 && usable(Isa::Avx2) && has(seven.b, {16, 17, 28, 30, 31});
    case Isa::Avx512Bf16:
      return deepest >= 1 && usable(Isa::Avx512) && has_vnni() && has(cpuid(7, 1).a, {5});
    case Isa::Amx:  // AMX-BF16, AMX-TILE
      return (state & 0x60000) == 0x60000 && usable(Isa::Avx512Bf16) && has(seven.d, {22, 24}) &&
             tiles_granted();
  }
  return false;
}

#else

bool bf16_units_are_slow() noexcept {
  return false;
}

bool usable(Isa isa) noexcept {
  return isa == Isa::Scalar;
}

#endif

std::string names(const std::vector<Isa>& isas) {
  std::string text;
  for (const Isa isa : isas) text += (text.empty() ? "" : ", ") + std::string(name_of(isa));
  return text;
}

}  // namespace

std::string_view name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::Scalar:
      return "scalar";
    case Isa::Avx2:
      return "avx2";
    case Isa::Avx512:
      return "avx512";
    case Isa::Avx512Bf16:
      return "avx512_bf16";
    case Isa::Amx:
      return "amx";
  }
  return "";
}

bool has_vnni() noexcept {
#if defined(__x86_64__)
  return has(cpuid(7, 0).c, {11});
#else
  return false;
#endif
}

std::vector<Isa> usable_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kAll)
    if (usable(isa)) isas.push_back(isa);
  return isas;
}

Isa chosen_isa() {
  const std::vector<Isa> isas = usable_isas();
  const std::string_view forced = environment("ANNULUS_ISA");
  if (forced.empty())
    return isas.back() == Isa::Avx512Bf16 && bf16_units_are_slow() ? Isa::Avx512 : isas.back();
  for (const Isa isa : isas)
    if (name_of(isa) == forced) return isa;
  throw Error(ErrorCode::InvalidRequest,
              text_of("ANNULUS_ISA: wanted one of ", names(isas), ", found ", forced,
                      " (instruction sets of this CPU)"));
}

}  // namespace annulus

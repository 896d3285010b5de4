// Kernels for any CPU: four lanes, which every x86-64 has and compilers emulate elsewhere.
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/half.h"
#include "platform/cpu/kernels.h"

namespace annulus::cpu::scalar {
namespace {

inline constexpr int kLanes = 4;
#include "platform/cpu/simd/types.h"

inline constexpr int kDotRows = 2;  // 2 x 4 sums in 16 registers
#include "platform/cpu/simd/portable_halves.h"

}  // namespace
}  // namespace annulus::cpu::scalar

namespace annulus::cpu::scalar {
namespace {
#include "platform/cpu/simd/kernels.h"
}  // namespace

const Kernels& kernels() noexcept {
  return kTable;
}

}  // namespace annulus::cpu::scalar

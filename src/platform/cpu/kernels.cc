#include "platform/cpu/kernels.h"

namespace annulus::cpu {

const Kernels& kernels_for(Isa isa) noexcept {
#ifdef __x86_64__
  if (isa >= Isa::Avx512) return avx512::kernels();
  if (isa == Isa::Avx2) return avx2::kernels();
#else
  static_cast<void>(isa);
#endif
  return scalar::kernels();
}

}  // namespace annulus::cpu

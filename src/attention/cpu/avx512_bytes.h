// What bytes.h asks of an AVX-512 vector type, on top of `T`. Included inside target regions.
#pragma once

#include "attention/cpu/avx512.h"
#include "attention/cpu/bytes.h"

namespace annulus::flash {
namespace {

template <class T, bool kVnni>
struct Bytes512 : T {
  using I = __m512i;
  static I repeat_ints(Word x) noexcept { return _mm512_set1_epi32(static_cast<int>(x)); }
  static I load_ints(const Word* p) noexcept { return _mm512_loadu_si512(p); }
  static typename T::V floats_of(I x) noexcept { return _mm512_cvtepi32_ps(x); }
  /// To the nearest integers.
  static void store_bytes(std::int8_t* p, typename T::V x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x)));
  }

  /// sum + four products of unsigned bytes of a and signed bytes of b, exact: VPDPBUSD, or the same
  /// spelled out for CPUs without AVX512-VNNI.
  static I dot_bytes(I sum, I a, I b) noexcept {
    if constexpr (kVnni) {
      return _mm512_dpbusd_epi32(sum, a, b);
    } else {
      const I even = _mm512_madd_epi16(_mm512_and_si512(a, _mm512_set1_epi16(0xff)),
                                       _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8));
      const I odd = _mm512_madd_epi16(_mm512_srli_epi16(a, 8), _mm512_srai_epi16(b, 8));
      return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
    }
  }
};

}  // namespace
}  // namespace annulus::flash

#include "platform/cpu/peak_loops.h"

#include <array>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace annulus {

void keep(std::uint64_t value) noexcept {
  asm volatile("" : : "r"(value) : "memory");
}

namespace {

constexpr int kChains =
    16;  // independent accumulators: more than latency times units of any CPU so far

// Plain C++: what the compiler makes of it for the oldest CPU of this architecture.
void scalar_f32(std::int64_t rounds) noexcept {
  float sum[kChains] = {};
  for (std::int64_t i = 0; i < rounds; ++i)
    for (float& chain : sum) {
      chain = chain * 0.5f + 1.0f;
      asm volatile("" : "+x"(chain));
    }
  for (const float chain : sum) keep(static_cast<std::uint64_t>(chain));
}

}  // namespace

#if defined(__x86_64__)

// The accumulators stay in registers: the empty asm says that each was changed, so that nothing is
// folded away.
namespace peak_avx2 {
[[gnu::target("avx2,fma")]] static void fma_f32(std::int64_t rounds) noexcept {
  __m256 sum[12];
  for (__m256& chain : sum) chain = _mm256_set1_ps(1.0f);
  const __m256 x = _mm256_set1_ps(0.5f);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (__m256& chain : sum) {
      chain = _mm256_fmadd_ps(chain, x, x);
      asm volatile("" : "+x"(chain));
    }
}
}  // namespace peak_avx2

namespace peak_avx512 {
[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]] static void fma_f32(
    std::int64_t rounds) noexcept {
  __m512 sum[kChains];
  for (__m512& chain : sum) chain = _mm512_set1_ps(1.0f);
  const __m512 x = _mm512_set1_ps(0.5f);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (__m512& chain : sum) {
      chain = _mm512_fmadd_ps(chain, x, x);
      asm volatile("" : "+v"(chain));
    }
}
}  // namespace peak_avx512

namespace peak_avx512_bf16 {
[[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]] static void dot_bf16(
    std::int64_t rounds) noexcept {
  __m512 sum[kChains];
  for (__m512& chain : sum) chain = _mm512_set1_ps(1.0f);
  const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
  for (std::int64_t i = 0; i < rounds; ++i)
    for (__m512& chain : sum) {
      chain = _mm512_dpbf16_ps(chain, x, x);
      asm volatile("" : "+v"(chain));
    }
}
}  // namespace peak_avx512_bf16

namespace peak_amx {
[[gnu::target("amx-tile,amx-bf16,avx512f")]] static void dot_bf16(std::int64_t rounds) noexcept {
  struct alignas(64)
      TileConfig {  // Intel SDM, LDTILECFG: palette 1, 16 rows of 64 bytes for each of eight tiles
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes_per_row[16] = {};
    std::uint8_t rows[16] = {};
  } config;
  for (int tile = 0; tile < 8; ++tile) {
    config.bytes_per_row[tile] = 64;
    config.rows[tile] = 16;
  }
  asm volatile(
      ""
      :
      : "r"(&config)
      : "memory");  // g++ 12 believes that ldtilecfg reads 8 bytes and drops the other stores
  _tile_loadconfig(&config);
  for (std::int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
}  // namespace peak_amx

#endif

std::span<const PeakLoop> peak_loops() {
  static const std::vector<PeakLoop> loops = {
    {"f32 multiply-add scalar", "flop/s", Isa::Scalar, 2.0 * kChains, scalar_f32},
#if defined(__x86_64__)
    {"f32 fma avx2", "flop/s", Isa::Avx2, 2.0 * 12 * 8, peak_avx2::fma_f32},
    {"f32 fma avx512", "flop/s", Isa::Avx512, 2.0 * kChains * 16, peak_avx512::fma_f32},
    {"bf16 dot avx512_bf16", "flop/s", Isa::Avx512Bf16, 4.0 * kChains * 16,
     peak_avx512_bf16::dot_bf16},
    {"bf16 tile amx", "flop/s", Isa::Amx, 4.0 * 2 * 16 * 16 * 32, peak_amx::dot_bf16},
#endif
  };
  return loops;
}

}  // namespace annulus

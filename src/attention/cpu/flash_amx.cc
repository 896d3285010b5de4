// AMX: both products in bf16 tiles of 16 rows by 16 columns, softmax in AVX-512. One tile product
// takes the operands that VDPBF16PS takes, so panels are those of the AVX-512 bf16 kernel.
#if defined(__x86_64__)

#include <immintrin.h>

#include "attention/cpu/kernel.h"
#include "base/half.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                                   \
    __attribute__((target(                                                                                      \
        "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both in its own header: GCC bug 105593
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx512vnni,amx-tile,amx-bf16")
#endif

#include "attention/cpu/avx512_bytes.h"

namespace annulus::flash {
namespace {

/// Operand of LDTILECFG (Intel SDM vol. 1, 18.3).
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// The intrinsics do not tell the compiler which memory they read.
inline void memory_barrier() noexcept {
  asm volatile("" ::: "memory");
}

constexpr std::int64_t kTile = 16;  // rows, and words of a row

/// multiply() by tiles: c [kRowTiles * 16 rows, kColumnTiles * 16] over `steps` words, a multiple
/// of
/// 16. Rows past the group's are computed too: the scratch memory has them.
///
/// Tiles 0 to 3: c. 4, 5: rows of a. 6, 7: columns of b.
template <int kRowTiles, int kColumnTiles, std::int64_t kStride>
void multiply_tiles(const Word* a, const Word* b, std::int64_t steps, float* c,
                    std::int64_t c_stride, bool accumulate, Fetcher& fetcher) noexcept {
  constexpr std::int64_t kRowBytes = kStride * 4, kPanelBytes = Vector512::kPanel * 4;
  const std::int64_t c_bytes = c_stride * 4;
  float* const lower = c + kTile * c_stride;
  memory_barrier();
  if (accumulate) {
    _tile_loadd(0, c, c_bytes);
    if constexpr (kColumnTiles > 1) _tile_loadd(1, c + kTile, c_bytes);
    if constexpr (kRowTiles > 1) _tile_loadd(2, lower, c_bytes);
    if constexpr (kRowTiles > 1 && kColumnTiles > 1) _tile_loadd(3, lower + kTile, c_bytes);
  } else {
    _tile_zero(0);
    if constexpr (kColumnTiles > 1) _tile_zero(1);
    if constexpr (kRowTiles > 1) _tile_zero(2);
    if constexpr (kRowTiles > 1 && kColumnTiles > 1) _tile_zero(3);
  }
  for (std::int64_t done = 0; done < steps; done += kTile) {
    const Word* const panel = b + done * Vector512::kPanel;
    _tile_loadd(6, panel, kPanelBytes);
    _tile_loadd(4, a + done, kRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kColumnTiles > 1) {
      _tile_loadd(7, panel + kTile, kPanelBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRowTiles > 1) {
      _tile_loadd(5, a + kTile * kStride + done, kRowBytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kColumnTiles > 1) _tile_dpbf16ps(3, 5, 7);
    }
    fetcher.some();
  }
  _tile_stored(0, c, c_bytes);
  if constexpr (kColumnTiles > 1) _tile_stored(1, c + kTile, c_bytes);
  if constexpr (kRowTiles > 1) _tile_stored(2, lower, c_bytes);
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) _tile_stored(3, lower + kTile, c_bytes);
  memory_barrier();
}

struct Amx : Pairs512 {
  static constexpr std::int64_t kBlock = 256, kWordStep = 16, kKeyStep = 32, kFetchSteps = 16;
  static constexpr int kTileRows = 32;

  template <std::int64_t kStride>
  static Multiply multiply_for(std::int64_t rows, std::int64_t vectors) noexcept {
    if (rows <= kTile)
      return vectors == 1 ? &multiply_tiles<1, 1, kStride> : &multiply_tiles<1, 2, kStride>;
    return vectors == 1 ? &multiply_tiles<2, 1, kStride> : &multiply_tiles<2, 2, kStride>;
  }

  /// Tiles of 16 rows of 64 bytes, all eight.
  static void enter() noexcept {
    TileConfig config;
    for (int tile = 0; tile < 8; ++tile) {
      config.row_bytes[tile] = 64;
      config.rows[tile] = 16;
    }
    memory_barrier();
    _tile_loadconfig(&config);
  }
  static void leave() noexcept { _tile_release(); }

  static void store_pairs(Word* p, V low, V high) noexcept {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
};

constexpr Kernel kKernel = kernel_of<Amx>("amx bf16");

constexpr Kernel kBytes = kernel_of_bytes<Bytes512<Amx, true>>("amx int8");

}  // namespace

const Kernel& amx_bf16() noexcept {
  return kKernel;
}

const Kernel& amx_int8() noexcept {
  return kBytes;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

// AMX: both products in bf16 tiles of 16 rows by 16 columns, softmax in AVX-512. One tile product
// takes the operands that VDPBF16PS takes, so panels are those of the AVX-512 bf16 kernel.
#if defined(__x86_64__)

#include <immintrin.h>

#include "attention/cpu/kernel.h"
#include "base/half.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                        \
    __attribute__((target(                                                                           \
        "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16"))), \
    apply_to = function)
#else
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // in its own header: GCC bug 105593
#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")
#endif

#include "attention/cpu/avx512.h"
#include "attention/cpu/tile_loop.h"

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

struct Amx : Pairs512 {
  static constexpr std::int64_t kBlock = 256, kWordStep = 16, kKeyStep = 32, kFetchSteps = 16,
                                kBuffers = 2;
  static constexpr int kTileRows = 32;

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

constexpr std::int64_t kTile = 16;  // rows, and words of a row

/// A product of a group's rows and one panel: c [rows, columns] (+)= a [rows, steps] * b [steps,
/// panel].
struct Product {
  const Word* a = nullptr;
  const Word* b = nullptr;
  float* c = nullptr;
  std::int64_t a_bytes = 0, c_bytes = 0;  // between rows
  std::int64_t steps = 0;                 // words, a multiple of kTile
  bool accumulate = false;
  bool two_rows = false, two_columns = false;  // tiles
};

/// Works through a product 16 words at a time: the tile units compute while vector instructions
/// that come between two calls of advance() run.
///
/// Tiles 0 to 3: c. 4, 5: rows of a. 6, 7: columns of b.
class TileProduct {
 public:
  void start(const Product& product) noexcept {
    now_ = product;
    done_ = 0;
    memory_barrier();
    if (!now_.accumulate) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      return;
    }
    float* const lower = row(kTile);
    _tile_loadd(0, now_.c, now_.c_bytes);
    if (now_.two_columns) _tile_loadd(1, now_.c + kTile, now_.c_bytes);
    if (!now_.two_rows) return;
    _tile_loadd(2, lower, now_.c_bytes);
    if (now_.two_columns) _tile_loadd(3, lower + kTile, now_.c_bytes);
  }

  void advance() noexcept {
    constexpr std::int64_t kPanelBytes = Amx::kPanel * 4;
    const Word* const a = now_.a + done_;
    const Word* const b = now_.b + done_ * Amx::kPanel;
    memory_barrier();
    _tile_loadd(6, b, kPanelBytes);
    _tile_loadd(4, a, now_.a_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if (now_.two_columns) {
      _tile_loadd(7, b + kTile, kPanelBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (now_.two_rows) {
      _tile_loadd(5, a + kTile * (now_.a_bytes / 4), now_.a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if (now_.two_columns) _tile_dpbf16ps(3, 5, 7);
    }
    done_ += kTile;
    if (done_ >= now_.steps) finish();
  }

  bool finished() const noexcept { return done_ >= now_.steps; }

 private:
  float* row(std::int64_t r) const noexcept { return now_.c + r * (now_.c_bytes / 4); }

  void finish() noexcept {
    float* const lower = row(kTile);
    _tile_stored(0, now_.c, now_.c_bytes);
    if (now_.two_columns) _tile_stored(1, now_.c + kTile, now_.c_bytes);
    if (now_.two_rows) {
      _tile_stored(2, lower, now_.c_bytes);
      if (now_.two_columns) _tile_stored(3, lower + kTile, now_.c_bytes);
    }
    memory_barrier();
  }

  Product now_;
  std::int64_t done_ = 0;
};

/// Three items are under way at once: the last one's weights times values and the next one's scores
/// on the tile units, the present one's softmax on the vector units, interleaved row by row.
class Pipeline {
 public:
  using L = Layout<Amx>;

  Pipeline(const Unit& unit, const Scratch& scratch) noexcept : loop_(unit, scratch) {}

  void run() noexcept {
    loop_.begin();
    bool more = find_next();
    while (more || now_.group != nullptr || last_.group != nullptr) {
      step();
      last_ = now_;
      now_ = next_;
      next_.group = nullptr;
      if (more) more = find_next();
    }
    loop_.end();
  }

 private:
  /// The next item of the unit, block by block.
  bool find_next() noexcept {
    for (; block_ < loop_.past_block(); ++block_, group_ = 0) {
      if (group_ == 0) loop_.send_fetcher(block_);
      while (group_ < loop_.group_count) {
        const Item<Amx> item = loop_.item_of(loop_.groups[group_++], block_, buffer_);
        if (item.begin >= item.end) continue;
        buffer_ = 1 - buffer_;
        next_ = item;
        return true;
      }
    }
    return false;
  }

  void step() noexcept {
    const bool care = last_.group != nullptr && loop_.needs_care(last_);
    values_left_ = keys_left_ = 0;
    std::int64_t work = 0;
    if (last_.group != nullptr) {
      loop_.rescale(last_);
      if (care) {
        loop_.accumulate_seen(last_);
      } else {
        values_left_ = (loop_.unit.head_dim + Amx::kPanel - 1) / Amx::kPanel;
        work += values_left_ * (loop_.value_steps(last_) / kTile);
      }
    }
    if (next_.group != nullptr) {
      keys_left_ = (next_.padded - next_.begin) / Amx::kPanel;
      work += keys_left_ * (L::words(loop_.unit.head_dim) / kTile);
      chunk_ = 0;
    }
    const std::int64_t rows = now_.group == nullptr ? 0 : now_.group->count;
    std::int64_t worked = 0;
    if (rows > 0) loop_.find_most(now_, 0);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (; worked < work * (r + 1) / rows; ++worked) advance();
      if (r + 1 < rows) loop_.find_most(now_, r + 1);  // its reduction overlaps
      loop_.weigh(now_, r);
    }
    for (; worked < work; ++worked) advance();
    if (last_.group != nullptr) last_.group->started = true;
  }

  void advance() noexcept {
    if (product_.finished()) product_.start(values_left_ > 0 ? value_product() : key_product());
    product_.advance();
    loop_.fetcher.some();
  }

  Product value_product() noexcept {
    const std::int64_t panels = (loop_.unit.head_dim + Amx::kPanel - 1) / Amx::kPanel;
    const std::int64_t d = (panels - values_left_) * Amx::kPanel;
    --values_left_;
    return {.a = last_.weights + last_.begin / L::kKeysPerWord,
            .b = loop_.values_at(last_, d),
            .c = loop_.out_at(last_, 0) + d,
            .a_bytes = L::kWeightStride * 4,
            .c_bytes = L::out_stride(loop_.unit.head_dim) * 4,
            .steps = loop_.value_steps(last_),
            .accumulate = last_.group->started,
            .two_rows = last_.group->count > kTile,
            .two_columns = loop_.unit.head_dim - d > kTile};
  }

  Product key_product() noexcept {
    const std::int64_t words = L::words(loop_.unit.head_dim), word = chunk_;
    const std::int64_t key = next_.padded - keys_left_ * Amx::kPanel;
    chunk_ += L::kChunkWords;
    if (chunk_ >= words) {
      chunk_ = 0;
      --keys_left_;
    }
    return {.a = loop_.queries_at(next_, word),
            .b = loop_.keys_at(next_, key, word),
            .c = next_.scores + key,
            .a_bytes = L::kQueryStride * 4,
            .c_bytes = L::kScoreStride * 4,
            .steps = least(words - word, L::kChunkWords),
            .accumulate = word > 0,
            .two_rows = next_.group->count > kTile,
            .two_columns = true};
  }

  Loop<Amx> loop_;
  Item<Amx> last_, now_, next_;
  std::int64_t block_ = loop_.first_block(), group_ = 0;
  int buffer_ = 0;
  TileProduct product_;
  std::int64_t values_left_ = 0, keys_left_ = 0, chunk_ = 0;
};

void attend_tiles(const Unit& unit, const Scratch& scratch) noexcept {
  Amx::enter();
  Pipeline(unit, scratch).run();
  Amx::leave();
}

constexpr Kernel kKernel = kernel_of<Amx>("amx bf16", &attend_tiles);

}  // namespace

const Kernel& amx_bf16() noexcept {
  return kKernel;
}

}  // namespace annulus::flash

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

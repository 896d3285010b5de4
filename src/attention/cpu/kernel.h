// What the parts of the flash backend tell each other: flash.cc divides a call into units, a Kernel
// (one per instruction set and compute type) packs keys and values and works through one unit.
// Plain data; nothing here allocates, checks or throws.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace annulus::flash {

/// What a panel holds: one f32, or two neighbouring bf16 (the lower one first).
using Word = std::uint32_t;

/// Rows of head_dim elements somewhere in the caller's memory. Strides in elements.
struct Rows {
  const std::byte* data = nullptr;
  DType dtype = DType::F32;
  std::int64_t stride = 0;  // between rows
  std::int64_t inner = 1;   // between the elements of a row

  Rows from(std::int64_t row) const noexcept {
    Rows rows = *this;
    rows.data += row * stride * static_cast<std::int64_t>(size_of(dtype));
    return rows;
  }
};

/// One block of keys and values of one kv head, to be copied into panels.
///
///   keys    [blocks of Kernel::panel keys][head_dim words][panel]       transposed; pairs along
///   head_dim values  [blocks of panel columns of head_dim][key words][panel]     pairs along keys
struct PackJob {
  Rows keys, values;
  std::int64_t count = 0;  // keys in this block, at most Kernel::key_block
  std::int64_t head_dim = 0;
  Word* key_panels = nullptr;    // written
  Word* value_panels = nullptr;  // written
  std::uint8_t* odd = nullptr;   // written: does a value hold NaN or Inf?
};

/// A mask over one entry: [heads, seq_q, keys], strides in elements, 0 where it is broadcast.
struct Mask {
  const std::byte* data = nullptr;  // null: none
  DType dtype = DType::Bool;        // Bool: true = seen; else added
  std::int64_t head = 0, row = 0, key = 1;
};

/// Which keys does query i of an entry see by position? Those in [max(0, i + from), min(keys, i +
/// to + 1)).
struct Band {
  std::int64_t keys = 0;
  std::int64_t from = 0, to = 0;  // clamped so that sums do not overflow

  std::int64_t begin(std::int64_t i) const noexcept { return i + from > 0 ? i + from : 0; }
  std::int64_t end(std::int64_t i) const noexcept {
    const std::int64_t past = i + to + 1;
    return past < keys ? (past > 0 ? past : 0) : keys;
  }
};

/// Rows of memory that will be wanted soon: a unit asks for them while it computes.
struct Errand {
  const std::byte* at = nullptr;
  std::int64_t bytes = 0, stride = 0, rows = 0;  // of a row; between rows, in bytes
  bool write = false;
};

/// What one thread works in. Sizes: Kernel::scratch_of.
struct Scratch {
  Word* queries = nullptr;  // packed rows
  float* scores = nullptr;  // a row group by key_block
  Word* weights = nullptr;  // the same after exp, as the second product takes it
  float* out = nullptr;     // [rows, out_stride], not divided
  float* most = nullptr;    // [rows] largest score, in units of `Unit::unit`
  float* sum = nullptr;     // [rows]
  float* sums = nullptr;    // [rows, lanes], added up to `sum` in the end
};

/// A block of query rows against a range of keys. Rows of one kv head are numbered over its query
/// heads: row = head_in_group * seq_q + query.
struct Unit {
  Rows queries;                  // query 0 of the group's first head
  std::int64_t head_stride = 0;  // elements between its heads
  std::int64_t seq_q = 0;
  std::int64_t first_row = 0, rows = 0;
  std::int64_t head_dim = 0;
  bool negate = false;  // queries change sign: the scale is negative

  Rows keys, values;                 // of key 0; for attend_in_place
  const Word* key_panels = nullptr;  // of key 0; a block takes Kernel::key_words
  const Word* value_panels = nullptr;
  std::int64_t key_words = 0, value_words = 0;  // per block
  const std::uint8_t* odd = nullptr;            // per block
  std::int64_t first_key = 0, last_key = 0;     // multiples of key_block, or the end
  Band band;
  Mask mask;  // of the group's first head

  Errand errands[4];      // at most
  bool resident = false;  // panels are few enough to stay near between blocks of queries

  float scale = 0;      // of an additive mask's scores; > 0
  float exp2_unit = 0;  // exp(score) = exp2(score * exp2_unit)
};

/// Sizes of the parts of a Scratch in bytes, each a multiple of 64.
struct ScratchSizes {
  std::size_t queries = 0, scores = 0, weights = 0, out = 0, most = 0, sum = 0, sums = 0;
};

/// Functions and sizes of one instruction set and compute type.
struct Kernel {
  const char* name = "";
  std::int64_t rows = 0;        // of a register tile: blocks of queries are multiples of it
  std::int64_t block_rows = 0;  // most rows of a unit
  std::int64_t key_block = 0;
  std::int64_t most_head_dim = INT64_MAX;

  ScratchSizes (*scratch_of)(std::int64_t head_dim) noexcept = nullptr;
  std::int64_t (*out_stride)(std::int64_t head_dim) noexcept = nullptr;
  std::int64_t (*key_words)(std::int64_t head_dim) noexcept = nullptr;    // of a packed block
  std::int64_t (*value_words)(std::int64_t head_dim) noexcept = nullptr;  // likewise
  void (*pack)(const PackJob& job) noexcept = nullptr;
  /// Leaves out, most and sum in `scratch`.
  void (*attend)(const Unit& unit, const Scratch& scratch) noexcept = nullptr;
  /// The same with keys and values read where they lie: faster up to `rows` rows (24 heads, 77 and
  /// 1024 keys on AVX-512: 1.45 at 4, 1.05 at 12, 0.85 at 16). Null: has none.
  void (*attend_in_place)(const Unit& unit, const Scratch& scratch) noexcept = nullptr;
  /// What turns scores into weights: 2^x of `count` values <= 0, a multiple of 16.
  void (*exp2)(const float* x, float* y, std::int64_t count) noexcept = nullptr;
  /// from * factor into `count` elements of `dtype` (f32, bf16, f16) at `to`, next to each other.
  void (*store_scaled)(const float* from, float factor, std::byte* to, DType dtype,
                       std::int64_t count) noexcept = nullptr;
};

const Kernel& scalar_f32() noexcept;
const Kernel& avx2_f32() noexcept;
const Kernel& avx512_f32() noexcept;
const Kernel& avx512_bf16() noexcept;
const Kernel& amx_bf16() noexcept;
const Kernel& avx512_bf16_emulated() noexcept;  // the same bits without the units: for tests

// Scores from int8 (bytes.h), the second product as in the kernel of the same name.
const Kernel& scalar_int8() noexcept;
const Kernel& avx2_int8() noexcept;
const Kernel& avx512_int8() noexcept;           // needs AVX512-VNNI
const Kernel& avx512_int8_emulated() noexcept;  // the same bits without it
const Kernel& avx512_bf16_int8() noexcept;
const Kernel& amx_int8() noexcept;

}  // namespace annulus::flash

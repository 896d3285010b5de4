// Divides a call of the flash backend into units of work, from its shapes alone: the same units for
// any number of threads, so the same bits.
#pragma once

#include <cstdint>

#include "attention/backend.h"
#include "attention/cpu/kernel.h"

namespace annulus::flash {

/// Where results go. Strides in elements.
struct Output {
  std::byte* out = nullptr;
  DType dtype = DType::F32;
  std::int64_t entry = 0, token = 0, head = 0, inner = 1;
  float* lse = nullptr;  // null: not wanted
  std::int64_t lse_entry = 0, lse_token = 0, lse_head = 0;
  // Fold: `out` is a RunningAttention's; these are its other parts, with lse's strides.
  float* max = nullptr;
  float* sum = nullptr;
};

/// An entry of the batch or a packed sequence. Offsets in elements from the call's pointers.
struct Entry {
  std::int64_t seq_q = 0, keys = 0;  // keys: those within kv_lengths
  std::int64_t q = 0, k = 0, v = 0, out = 0, lse = 0, mask = 0;
  Band band;
  std::int64_t block_rows = 0, blocks = 0;    // of queries, for each kv head
  std::int64_t key_blocks = 0;                // Kernel::key_block keys each
  std::int64_t split_blocks = 0, splits = 0;  // key blocks of a split; 1 split: none
};

/// A call as the kernels see it.
struct Call {
  const Kernel* kernel = nullptr;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  Rows q, k, v;  // row stride: between tokens
  std::int64_t q_head = 0, k_head = 0, v_head = 0;
  Mask mask;
  Output output;
  std::int64_t entries = 0;

  bool in_place = false;  // few rows: keys and values are read where they lie, not packed
  bool negate = false;    // scale < 0
  float scale = 0;        // its magnitude
  float unit = 0;         // natural score = raw score * unit
  float exp2_unit = 0;    // unit * log2(e)

  std::int64_t key_words = 0, value_words = 0;  // of a packed block
  std::int64_t group() const noexcept { return heads / kv_heads; }
};

/// The most query rows that any kv head has to meet: those of its query heads together.
std::int64_t rows_of_longest(const AttentionArgs& args) noexcept;

/// Pointers, strides and scales of `args`, which check() has passed. `lse` may be null.
Call call_of(const Kernel& kernel, const AttentionArgs& args, Tensor& out, Tensor* lse);

/// The same, folding into `running`.
Call call_of(const Kernel& kernel, const AttentionArgs& args, RunningAttention& running);

/// Entry `n` of the call, its keys not yet split.
Entry entry_of(const Call& call, const AttentionArgs& args, std::int64_t n) noexcept;

/// Decides the splits over keys of every entry: where queries are few, keys are divided instead.
void split_keys(const Call& call, Entry* entries) noexcept;

}  // namespace annulus::flash

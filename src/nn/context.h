// What a forward pass works with, and (beside this file) the layers: structs of weights and
// functions over them. Functions check shapes once, allocate their result and call the platform's
// op. Start with linear.h.
#pragma once

#include "parallel/lane.h"
#include "platform/op_table.h"

namespace annulus {

/// Everything a forward pass may use. Passed by const reference; there is no global.
struct Context : Lane {
  const OpTable& ops;
  DType dtype;  // inputs of GEMM and attention: f32, bf16 or f16 (f64 on the reference platform)
  DType wide;   // residual stream, norms, modulation, latents: f32 (f64 on the reference platform)
  /// Rows of a sequence that linear layers and attention take at a time, the last ones padded, so
  /// that a row's bits do not depend on how many rows this rank has; 0: all at once, which is
  /// faster.
  std::int64_t row_block = 0;
};

/// The same context with results in the wide dtype: for small vectors (timestep embeddings,
/// modulation) whose rounding would be felt in every row.
inline Context widened(const Context& ctx) {
  Context wide = ctx;
  wide.dtype = ctx.wide;
  return wide;
}

/// `op`, or Unsupported naming what is missing.
template <class F>
F required_op(F op, const char* name) {
  require(op != nullptr, ErrorCode::Unsupported, "operation: wanted ", name,
          ", found a platform without it");
  return op;
}

}  // namespace annulus

// The loops of the cpu platform: one table of them per instruction set, all made of the same
// sources (simd/), which each kernels_*.cc includes in its own namespace and target region. Kernels
// check nothing, allocate nothing and work on a range of rows or tiles, so that threads share them.
#pragma once

#include "attention/cpu/flash.h"
#include "platform/cpu/rows.h"
#include "platform/cpu/walk.h"
#include "platform/op_table.h"

namespace annulus::cpu {

struct LayerNormRows {
  Rows x, shift, scale;
  Source weight, bias;
  float eps;
  Rows out;
};

struct RmsNormRows {
  Rows x;
  Source weight;
  float eps;
  bool l2;
  Activation activation;
  Rows out;
};

struct RopeRows {
  Rows x;      // one head each
  Rows freqs;  // one position each: (cos, sin) pairs, f32
  std::int64_t heads, pairs;
  RopeLayout layout;
  Source norm_weight;
  float eps;
  Rows out;
};

struct GuideRows {
  Rows cond, uncond;
  float factor;
  bool rescale;
  Rows out;
};

struct SoftmaxRows {
  Rows x;
  const float* mask;  // null: none
  std::array<std::int64_t, 3> mask_stride;
  std::int64_t rows;  // per matrix of the batch
  Rows out;
  float* lse;  // null: not wanted
  std::array<std::int64_t, 2> lse_stride;
};

/// out[m, n] = activation(sum of x[m, k] weight[n, k] + bias[n]) for a few rows of x: bound by
/// reading the weight, which is widened in registers.
inline constexpr std::int64_t kSmallLinearRows = 64;  // at most
struct SmallLinear {
  const float* x;  // [rows, pitch], zeros from `in` on
  std::int64_t rows, in, pitch;
  Rows weight;  // one per output
  Source bias;
  Activation activation;
  Rows out;  // [rows, outputs]
};

struct Kernels {
  void (*convert)(Source from, Activation activation, Sink to, std::int64_t count) noexcept;
  void (*layer_norm)(const LayerNormRows& rows, std::int64_t begin, std::int64_t end) noexcept;
  void (*rms_norm)(const RmsNormRows& rows, std::int64_t begin, std::int64_t end) noexcept;
  void (*rope)(const RopeRows& rows, std::int64_t begin, std::int64_t end) noexcept;
  void (*guide)(const GuideRows& rows, std::int64_t begin, std::int64_t end) noexcept;
  /// `row`: room for one row, where out is not f32.
  void (*softmax)(const SoftmaxRows& rows, std::int64_t begin, std::int64_t end,
                  float* row) noexcept;
  /// Operands: out, x.
  void (*activate)(const Walk& walk, Activation activation, std::int64_t begin,
                   std::int64_t end) noexcept;
  /// Operands: out, gate, up.
  void (*gated_activate)(const Walk& walk, Activation activation, std::int64_t begin,
                         std::int64_t end) noexcept;
  /// Operands: x (updated), x again, y, gate.
  void (*add_gated)(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept;
  /// Operands: out, terms with their factors.
  void (*combine)(const Walk& walk, const float* factors, std::int64_t begin,
                  std::int64_t end) noexcept;
  /// Operands: out, x, scale, shift.
  void (*scale_shift)(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept;
  /// Operand: x.
  bool (*all_finite)(const Walk& walk, std::int64_t begin, std::int64_t end) noexcept;
  /// A range of outputs.
  void (*small_linear)(const SmallLinear& call, std::int64_t begin, std::int64_t end) noexcept;
};

namespace scalar {
const Kernels& kernels() noexcept;
}
namespace avx2 {
const Kernels& kernels() noexcept;
}
namespace avx512 {
const Kernels& kernels() noexcept;
}

/// The kernels for a CPU with that instruction set.
const Kernels& kernels_for(Isa isa) noexcept;

}  // namespace annulus::cpu

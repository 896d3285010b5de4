// The attention library: what a layer asks for (spec), what a call brings (args), who can serve it
// (backend), who is chosen (selection). Usable without the engine; knows a device only through
// Tensor. Conventions: docs/attention.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tensor/tensor.h"

namespace annulus {

/// Which diagonal a causal mask follows: key <= query (TopLeft) or key <= query + seq_kv - seq_q
/// (BottomRight).
enum class Causal : std::uint8_t { No, TopLeft, BottomRight };

/// What a layer needs, known when it is loaded. Mask properties combine freely.
struct AttentionSpec {
  std::int64_t heads = 0, kv_heads = 0,
               head_dim = 0;  // kv_heads 0: as many as heads (resolved() fills it in)
  DType dtype = DType::F32;   // of q, k and v
  Causal causal = Causal::No;
  bool window = false, kv_lengths = false, bool_mask = false, additive_mask = false, varlen = false;
  bool diagonals = false;
  bool lse = false;  // must return the log-sum-exp

  /// With kv_heads filled in. Throws InvalidRequest when heads is not a multiple of kv_heads or a
  /// size is not positive.
  AttentionSpec resolved() const;
  bool operator==(const AttentionSpec&) const = default;
};

std::string to_string(const AttentionSpec& spec);  // "24 heads (4 kv) x 128 bf16, causal
                                                   // bottom-right, kv_lengths, lse"

/// One call. Masks combine by AND; an additive mask is added after the scale.
///
///   packed (varlen): q [tokens_q, heads, head_dim], k, v [tokens_kv, kv_heads, head_dim] with both
///   cu_seqlens set
struct AttentionArgs {
  const Tensor& q;  // [batch, seq_q, heads, head_dim]
  const Tensor& k;  // [batch, seq_kv, kv_heads, head_dim]
  const Tensor& v;  // [batch, seq_kv, kv_heads, head_dim]
  float scale = 0;  // multiplies q.k; 0: 1 / sqrt(head_dim)
  Causal causal = Causal::No;
  std::array<std::int64_t, 2> window = {
      -1, -1};                         // keys left and right of the bottom-right diagonal; -1 = all
  const Tensor* kv_lengths = nullptr;  // [batch] i32; keys at or past the length are not seen
  const Tensor* mask = nullptr;  // [batch | 1, heads | 1, seq_q | 1, seq_kv]; bool: true = seen;
                                 // else (f32 or q's dtype) added
  // [batch] or packed [sequences] i32: query i faces key i + diagonal, whatever the alignments say:
  // for shards of longer sequences under causal or window. May be negative, or past the keys.
  const Tensor* diagonals = nullptr;
  const Tensor* cu_seqlens_q = nullptr;  // [sequences + 1] i32, rising from 0 to tokens_q
  const Tensor* cu_seqlens_k = nullptr;  // [sequences + 1] i32, rising from 0 to tokens_kv
};

/// Throws InvalidRequest when shapes, dtypes or lengths of a call contradict each other. Every
/// backend may rely on it. `out` [as q] (q's dtype or f32); `lse` [batch, heads, seq_q] or packed
/// [heads, tokens_q], f32, or null.
void check(const AttentionArgs& args, const Tensor& out, const Tensor* lse);

/// The spec that a call needs of its backend.
AttentionSpec spec_of(const AttentionArgs& args, bool lse);

}  // namespace annulus

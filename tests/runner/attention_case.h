#pragma once

#include <array>
#include <string>
#include <vector>

#include "attention/backend.h"
#include "golden_case.h"

namespace annulus::goldens {

/// The tensors of an attention case on the host, and the arguments that refer to them.
class AttentionCase {
 public:
  /// Throws CorruptFile when the case asks for something unknown.
  AttentionCase(const GoldenCase& golden, Device& host);

  AttentionArgs args() const;
  const Tensor& q() const noexcept { return q_; }  // [batch, seq_q, heads, head_dim] or packed
  Shape lse_shape() const;                         // [batch, heads, seq_q] or [heads, tokens]

  /// The part of the case that sees keys [begin, end) only. Diagonals become a mask, since they
  /// count from the whole sequence.
  AttentionCase of_keys(std::int64_t begin, std::int64_t end, Device& host) const;

 private:
  Tensor diagonal_mask(std::int64_t begin, std::int64_t end, Device& host) const;

  Tensor q_, k_, v_, kv_lens_, mask_, cu_seqlens_q_,
      cu_seqlens_k_;  // the last five may be undefined
  float scale_ = 0;
  Causal causal_ = Causal::No;
  std::array<std::int64_t, 2> window_ = {-1, -1};
};

struct NamedBackend {
  std::string label;
  const AttentionBackend* backend;
};

/// `reference`, and `flash` for every instruction set of this CPU.
std::vector<NamedBackend> attention_backends();

}  // namespace annulus::goldens

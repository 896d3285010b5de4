#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attention/spec.h"
#include "tensor/workspace.h"

namespace annulus {

/// Attention over some of the keys, unfinished: what a ring carries from hop to hop. All f32.
struct RunningAttention {
  Tensor
      out;  // [batch, seq_q, heads, head_dim], not yet divided by `sum`; packed: batch 1. Without
            // meaning (even NaN) in rows whose max is -inf: whoever folds first overwrites it
  Tensor max, sum;  // [batch, heads, seq_q]; -inf and 0 while no key was seen, -inf and NaN while
                    // only scores of -inf were
};

/// Throws InvalidRequest when `running` is not whole: three f32 tensors of shapes that fit.
void check(const RunningAttention& running);

/// Throws InvalidRequest when `running` is not whole, or not what `args` (in itself sound, as
/// check() in spec.h) folds into.
void check(const AttentionArgs& args, const RunningAttention& running);

/// A running result over no keys at all.
RunningAttention nothing_seen(Stream& stream, std::int64_t batch, std::int64_t seq_q,
                              std::int64_t heads, std::int64_t head_dim);

/// Divides by the sum: out in `out`'s dtype; rows that saw no key give 0 and lse -inf. `lse` is
/// written when not null. Host tensors.
void finish(Stream& stream, const RunningAttention& running, Tensor& out, Tensor* lse);

/// Computes attention on one kind of device. Stateless: all scratch memory comes from the
/// Workspace.
class AttentionBackend {
 public:
  virtual ~AttentionBackend() = default;
  virtual std::string_view name() const noexcept = 0;

  /// Why this backend cannot serve `spec`; nothing when it can.
  virtual std::optional<std::string> refusal(const AttentionSpec& spec) const = 0;

  /// Does it give up accuracy of the inputs' type for speed? Such a backend serves by name only.
  virtual bool approximate() const noexcept { return false; }

  /// out: q's shape, q's dtype or f32, written. lse: [batch, heads, seq_q] (packed: [heads,
  /// tokens]) f32, natural log, written when not null. Throws InvalidRequest for contradicting
  /// arguments (check()), Unsupported for a refused spec.
  virtual void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
                   Tensor* lse) const = 0;

  /// Folds more keys into `running` (args.q as in every fold before). The default runs with LSE in
  /// f32 and merges, on host tensors.
  virtual void fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
                    RunningAttention& running) const;

  /// As finish() above, where the backend's folds left their result. The default works on host
  /// tensors.
  virtual void finish(Stream& stream, Workspace& workspace, const RunningAttention& running,
                      Tensor& out, Tensor* lse) const;
};

}  // namespace annulus

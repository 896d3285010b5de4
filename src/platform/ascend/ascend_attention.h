#pragma once

#include <mutex>

#include "platform/ascend/fia_call.h"
#include "platform/math_attention.h"

namespace annulus::ascend {

/// What all backends here share: the folds of a ring stay on the device, in f32.
class AscendAttention : public AttentionBackend {
 public:
  void fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
            RunningAttention& running) const final;
  void finish(Stream& stream, Workspace& workspace, const RunningAttention& running, Tensor& out,
              Tensor* lse) const final;
};

/// Composed of other operations (MathAttention), on the device.
class ComposedAttention final : public AscendAttention {
 public:
  explicit ComposedAttention(MathAttention composed) : composed_(std::move(composed)) {}
  std::string_view name() const noexcept override { return composed_.name(); }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override;
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    composed_.run(stream, workspace, args, out, lse);
  }

 private:
  MathAttention composed_;
};

/// [2048, 2048] bool, strictly upper triangular: what the fused attention's sparse modes want. Made
/// on first use and kept. Safe from several threads.
class SmallMask {
 public:
  Tensor on(Stream& stream) const;

 private:
  mutable std::mutex mutex_;
  mutable Tensor mask_;
};

/// aclnnFusedInferAttentionScore with LSE.
///
/// Keys are cut to those that some query may see, so that it is never called without keys; heads of
/// other sizes than multiples of 16 are padded with zeros; causal masks and windows take the sparse
/// modes with the 2048 x 2048 mask where a boolean mask is not there besides; packed sequences are
/// computed one by one. Rows without a key come back with an LSE of +inf or about -3.4e38 and zeros
/// or the mean of V: they become out 0 and LSE -inf.
class FiaAttention final : public AscendAttention {
 public:
  explicit FiaAttention(std::shared_ptr<const Cann> cann);
  std::string_view name() const noexcept override { return "fia"; }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override;
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override;

 private:
  std::shared_ptr<const Cann> cann_;
  FiaVersion version_;
  SmallMask small_mask_;
};

}  // namespace annulus::ascend

#pragma once

#include <string>

#include "attention/backend.h"
#include "platform/op_table.h"

namespace annulus {

/// Attention composed of a platform's own operations: scores by matmul in f32, softmax, and a
/// second matmul, a block of queries at a time. Serves every spec, with LSE; slow, and always
/// there. Masks of any kind are joined on the host into one that is added.
///
/// Under another name, with another softmax in its table and `no_lse` set, it is a backend that
/// returns no log-sum-exp and says why.
class MathAttention final : public AttentionBackend {
 public:
  explicit MathAttention(const OpTable& ops) : MathAttention("math", ops, {}) {}
  MathAttention(std::string name, const OpTable& ops, std::string no_lse)
      : name_(std::move(name)), ops_(ops), no_lse_(std::move(no_lse)) {}

  std::string_view name() const noexcept override { return name_; }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override;
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override;

 private:
  std::string name_;
  OpTable ops_;
  std::string no_lse_;  // the reason; empty: it has one
};

}  // namespace annulus

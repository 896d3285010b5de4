#include "platform/ascend/ascend_attention.h"

#include <limits>

namespace annulus::ascend {

namespace {

constexpr float kFinite = std::numeric_limits<float>::max();
constexpr double kNone = -std::numeric_limits<double>::infinity();

Tensor constant(const Aclnn& aclnn, double value) {
  Tensor made = aclnn.empty({1}, DType::F32);
  aclnn.fill(made, value);
  return made;
}

// exp(x - most), of x's shape.
Tensor weight_of(const Aclnn& aclnn, const Tensor& x, const Tensor& most) {
  Tensor made = aclnn.empty(most.shape(), DType::F32);
  aclnn.sub(x, most, made);
  aclnn.run(aclnn.api().exp, aclnn.tensor(made).get(), Aclnn::mutable_of(aclnn.tensor(made)));
  return made;
}

// [batch, heads, seq_q] as a factor of [batch, seq_q, heads, head_dim].
Tensor as_factor(const Tensor& rows) {
  return rows.permute({0, 2, 1}).unsqueeze(3);
}

}  // namespace

void AscendAttention::fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
                           RunningAttention& running) const {
  check(args, running);
  if (running.out.elements() == 0) return;
  const bool packed = args.cu_seqlens_q != nullptr;
  const Aclnn aclnn(stream);
  const Tensor part = aclnn.empty(running.out.shape(), DType::F32),
               part_lse = aclnn.empty(running.max.shape(), DType::F32);
  Tensor to = packed ? part.select(0, 0) : part, lse = packed ? part_lse.select(0, 0) : part_lse;
  run(stream, workspace, args, to, &lse);

  // Where no key was seen before or now the largest score is -inf: 0 in its place gives weights
  // exp(-inf) = 0, and not exp(-inf + inf).
  Tensor most = aclnn.empty(running.max.shape(), DType::F32);
  aclnn.maximum(running.max, part_lse, most);
  Tensor reference = aclnn.empty(most.shape(), DType::F32);
  aclnn.where(aclnn.less(most, -kFinite), constant(aclnn, 0), most, reference);
  const Tensor keep = weight_of(aclnn, running.max, reference),
               take = weight_of(aclnn, part_lse, reference);
  aclnn.mul(running.sum, keep, running.sum);
  aclnn.add(running.sum, take, 1.0f, running.sum);
  // Before the first key `out` holds nothing, perhaps NaN.
  const Tensor unseen = aclnn.less(running.max, -kFinite);
  aclnn.where(as_factor(unseen), constant(aclnn, 0), running.out, running.out);
  aclnn.mul(running.out, as_factor(keep), running.out);
  aclnn.add_product(running.out, part, as_factor(take), running.out);
  aclnn.copy(most, running.max);
}

void AscendAttention::finish(Stream& stream, Workspace&, const RunningAttention& running,
                             Tensor& out, Tensor* lse) const {
  if (running.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor none = aclnn.less(aclnn.contiguous(running.max), -kFinite);
  Tensor sum = aclnn.empty(running.sum.shape(), DType::F32);
  aclnn.where(none, constant(aclnn, 1), running.sum, sum);
  Tensor divided = aclnn.empty(running.out.shape(), DType::F32);
  aclnn.div(running.out, as_factor(sum), divided);
  aclnn.where(as_factor(none), constant(aclnn, 0), divided, divided);
  aclnn.copy(divided, out);
  if (lse == nullptr) return;
  aclnn.run(aclnn.api().log, aclnn.tensor(sum).get(), Aclnn::mutable_of(aclnn.tensor(sum)));
  aclnn.add(sum, running.max, 1.0f, sum);
  aclnn.where(none, constant(aclnn, kNone), sum, sum);
  aclnn.copy(sum, *lse);
}

std::optional<std::string> ComposedAttention::refusal(const AttentionSpec& spec) const {
  if (spec.dtype == DType::F64) return "Ascend does not compute in f64";
  return composed_.refusal(spec);
}

}  // namespace annulus::ascend

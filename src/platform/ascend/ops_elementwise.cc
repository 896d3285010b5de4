#include <array>

#include "platform/ascend/activation.h"
#include "platform/ascend/ops.h"
#include "tensor/host_device.h"

namespace annulus::ascend {

void apply(const Aclnn& aclnn, Activation activation, const Tensor& x, Tensor& out) {
  constexpr std::int64_t kErf = 0, kTanh = 1;
  constexpr float kQuickGelu = 1.702f;
  const CannApi& api = aclnn.api();
  const auto to = [&] { return aclnn.tensor(out); };
  switch (activation) {
    case Activation::None:
      if (out.address() != x.address()) aclnn.copy(x, out);
      return;
    case Activation::Silu:
      return aclnn.run(api.silu, aclnn.tensor(x).get(), Aclnn::mutable_of(to()));
    case Activation::GeluTanh:
      return aclnn.run(api.gelu, aclnn.tensor(x).get(), kTanh, Aclnn::mutable_of(to()));
    case Activation::GeluErf:
      return aclnn.run(api.gelu, aclnn.tensor(x).get(), kErf, Aclnn::mutable_of(to()));
    case Activation::QuickGelu:
      return aclnn.run(api.swish, aclnn.tensor(x).get(), aclnn.scalar(kQuickGelu).get(),
                       Aclnn::mutable_of(to()));
    case Activation::Relu: {
      Tensor zero = aclnn.empty({1}, x.dtype());
      aclnn.fill(zero, 0);
      return aclnn.maximum(x, zero, out);
    }
  }
}

void activate(Stream& stream, Workspace&, const ActivateArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  Tensor y = aclnn.empty(args.x.shape(), DType::F32);
  apply(aclnn, args.activation, aclnn.in(args.x, DType::F32), y);
  aclnn.copy(y, args.out);
}

void gated_activate(Stream& stream, Workspace&, const GatedActivateArgs& args) {
  if (args.gate.elements() == 0) return;
  const Aclnn aclnn(stream);
  Tensor y = aclnn.empty(args.gate.shape(), DType::F32);
  apply(aclnn, args.activation, aclnn.in(args.gate, DType::F32), y);
  aclnn.mul(y, aclnn.in(args.up, DType::F32), y);
  aclnn.copy(y, args.out);
}

void add_gated(Stream& stream, Workspace&, const AddGatedArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor y = aclnn.in(args.y, DType::F32), gate = aclnn.in(args.gate, DType::F32);
  if (args.x.dtype() == DType::F32) return aclnn.add_product(args.x, y, gate, args.x);
  Tensor sum = aclnn.empty(args.x.shape(), DType::F32);
  aclnn.add_product(aclnn.in(args.x, DType::F32), y, gate, sum);
  aclnn.copy(sum, args.x);
}

void combine(Stream& stream, Workspace&, const CombineArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  Tensor sum = aclnn.empty(args.out.shape(), DType::F32);
  aclnn.fill(sum, 0);
  for (const Term& term : args.terms)
    aclnn.add(sum, aclnn.in(*term.x, DType::F32), term.factor, sum);
  aclnn.copy(sum, args.out);
}

void scale_shift(Stream& stream, Workspace&, const ScaleShiftArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  Tensor y = aclnn.empty(args.out.shape(), DType::F32);
  aclnn.add_product(aclnn.in(args.shift, DType::F32), aclnn.in(args.x, DType::F32),
                    aclnn.in(args.scale, DType::F32), y);
  aclnn.copy(y, args.out);
}

void guide(Stream& stream, Workspace&, const GuideArgs& args) {
  if (args.cond.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor cond = aclnn.in(args.cond, DType::F32), uncond = aclnn.in(args.uncond, DType::F32);
  Tensor g = aclnn.empty(args.cond.shape(), DType::F32);
  aclnn.sub(cond, uncond, g);
  aclnn.add(uncond, g, args.factor, g);
  if (args.rescale) {
    const auto norm = [&](const Tensor& x) {
      Tensor squares = aclnn.empty(x.shape(), DType::F32);
      aclnn.mul(x, x, squares);
      Tensor sum = aclnn.sum_last(squares);
      aclnn.run(aclnn.api().sqrt, aclnn.tensor(sum).get(), Aclnn::mutable_of(aclnn.tensor(sum)));
      return sum;
    };
    Tensor ratio = norm(cond);
    aclnn.div(ratio, norm(g), ratio);
    aclnn.mul(g, ratio, g);
  }
  aclnn.copy(g, args.out);
}

void upsample_nearest(Stream& stream, Workspace&, const UpsampleNearestArgs& args) {
  if (args.out.elements() == 0) return;
  const Shape& x = args.x.shape();  // [batch, frames, height, width, channels]
  const std::int64_t factor = args.factor;
  const Shape wide{x[0], x[1], x[2], factor, x[3], factor, x[4]};
  const Aclnn aclnn(stream);
  Tensor y = aclnn.empty(wide, args.out.dtype());
  aclnn.copy(args.x.unsqueeze(3).unsqueeze(5).expand(wide), y);
  aclnn.copy(y.reshape(args.out.shape()), args.out);
}

// x * 0 is 0 where x is finite and NaN elsewhere, and so is their sum.
bool all_finite(Stream& stream, Workspace&, const AllFiniteArgs& args) {
  constexpr int kTimeoutMs = 600'000;
  if (args.x.elements() == 0) return true;
  const Aclnn aclnn(stream);
  Tensor zeros = aclnn.empty(args.x.shape(), DType::F32);
  aclnn.scale(aclnn.in(args.x, DType::F32), 0.0f, zeros);
  Tensor sum = aclnn.empty({1}, DType::F32);
  const std::array<std::int64_t, 1> axes = {0};
  aclnn.run(aclnn.api().sum, aclnn.tensor(zeros.reshape({zeros.elements(), 1})).get(),
            aclnn.ints(axes).get(), false, cann::ACL_FLOAT, Aclnn::mutable_of(aclnn.tensor(sum)));
  HostDevice host(1, "host");
  Tensor found = Tensor::empty({1}, DType::F32, host);
  aclnn.device().copy(stream, sum, found);
  aclnn.device().synchronize(stream, kTimeoutMs);
  return found.data<float>()[0] == 0.0f;
}

}  // namespace annulus::ascend

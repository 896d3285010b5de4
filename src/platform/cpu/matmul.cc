#include <memory>
#include <optional>

#include "platform/cpu/cpu_device.h"
#include "platform/cpu/onednn.h"
#include "platform/cpu/ops.h"
#include "tensor/copy.h"

namespace annulus::cpu {

namespace {

std::array<std::int64_t, 3> strides_of(const Tensor& x) noexcept {
  return {x.stride(0), x.stride(1), x.stride(2)};
}

// Can oneDNN read this matrix as it lies?
bool readable(const Tensor& x, DType factors) noexcept {
  const bool rows_ok = x.stride(2) == 1 && x.stride(1) >= x.shape()[2];
  const bool columns_ok = x.stride(1) == 1 && x.stride(2) >= x.shape()[1];
  return x.dtype() == factors && (rows_ok || columns_ok);
}

Tensor dense(Stream& stream, const Tensor& x, DType dtype) {
  return contiguous(stream, cast(stream, x, dtype));
}

}  // namespace

void matmul(Stream& stream, Workspace& workspace, const MatmulArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  for (const Tensor* x : {&args.a, &args.b, static_cast<const Tensor*>(&args.out)}) check_dtype(*x);
  if (args.out.elements() == 0) return;
  if (args.a.shape()[2] == 0 || args.alpha == 0.0f) {
    if (!args.accumulate) stream.device().fill(stream, args.out, 0);
    return;
  }
  const bool bf16 = args.a.dtype() == DType::BF16 && args.b.dtype() == DType::BF16;
  const DType factors = bf16 && device.has_bf16_products() ? DType::BF16 : DType::F32;
  const Tensor a = readable(args.a, factors) ? args.a : dense(stream, args.a, factors);
  const Tensor b = readable(args.b, factors) ? args.b : dense(stream, args.b, factors);
  const bool writes =
      (args.out.dtype() == DType::F32 || args.out.dtype() == factors) && args.out.stride(2) == 1;
  Tensor out = writes ? args.out : Tensor::empty(args.out.shape(), DType::F32, stream.device());
  if (!writes && args.accumulate) copy(stream, args.out, out);

  const std::shared_ptr<const MadeProduct> product =
      device.onednn().product({.factors = factors,
                               .out = out.dtype(),
                               .batch = out.shape()[0],
                               .m = out.shape()[1],
                               .k = a.shape()[2],
                               .n = out.shape()[2],
                               .a_stride = strides_of(a),
                               .b_stride = strides_of(b),
                               .out_stride = strides_of(out),
                               .alpha = args.alpha,
                               .accumulate = args.accumulate});
  device.onednn().run(*product, a.address(), b.address(), nullptr, out.address(),
                      workspace.take(scratch_bytes(*product)));
  if (!writes) copy(stream, out, args.out);
}

}  // namespace annulus::cpu

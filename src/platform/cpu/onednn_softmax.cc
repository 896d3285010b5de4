#include "platform/cpu/onednn_softmax.h"

#include "platform/cpu/cpu_device.h"
#include "platform/cpu/onednn.h"
#include "platform/cpu/ops.h"
#include "tensor/copy.h"

namespace annulus::cpu {

void onednn_softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args) {
  require(args.lse == nullptr, ErrorCode::Unsupported,
          "oneDNN softmax: wanted the log-sum-exp, found a primitive without it");
  if (args.mask != nullptr || args.x.dtype() != DType::F32 || !args.x.is_contiguous())
    return softmax(stream, workspace, args);
  const std::int64_t columns = args.x.shape()[2];
  if (args.x.elements() == 0) return;
  const bool direct = args.out.dtype() == DType::F32 && args.out.is_contiguous();
  Tensor out = direct ? args.out : Tensor::empty(args.out.shape(), DType::F32, stream.device());
  cpu_device(stream).onednn().softmax(args.x.elements() / columns, columns, args.x.data<float>(),
                                      out.data<float>());
  if (!direct) copy(stream, out, args.out);
}

}  // namespace annulus::cpu

#include <algorithm>

#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/ops.h"

namespace annulus::cpu {

void softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  const std::int64_t columns = args.x.shape()[2];
  SoftmaxRows rows = {.x = Rows(args.x),
                      .mask = nullptr,
                      .mask_stride = {},
                      .rows = args.x.shape()[1],
                      .out = Rows(args.out),
                      .lse = nullptr,
                      .lse_stride = {}};
  if (args.mask != nullptr) {
    const auto mask = args.mask->view<float, 3>();
    rows.mask = mask.data;
    rows.mask_stride = mask.stride;
  }
  if (args.lse != nullptr) {
    const auto lse = args.lse->view<float, 2>();
    rows.lse = lse.data;
    rows.lse_stride = lse.stride;
  }
  // One row of f32 for each thread where out cannot hold it, a cache line apart.
  const bool in_place = args.out.dtype() == DType::F32;
  const std::int64_t pitch = in_place ? 0 : (columns + 31) / 16 * 16;
  float* scratch = nullptr;
  if (!in_place)
    scratch = reinterpret_cast<float*>(
        workspace.take(static_cast<std::size_t>(device.threads() * pitch) * sizeof(float)));
  parallel_for(device.threads(), rows.x.count(),
               std::max<std::int64_t>(4096 / std::max<std::int64_t>(columns, 1), 1),
               [&](std::int64_t begin, std::int64_t end, int thread) {
                 device.kernels().softmax(rows, begin, end, scratch + thread * pitch);
               });
}

}  // namespace annulus::cpu

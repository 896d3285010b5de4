#include <algorithm>

#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/ops.h"

namespace annulus::cpu {

namespace {

// Rows that are worth a thread.
std::int64_t grain_of(const Rows& rows) noexcept {
  constexpr std::int64_t kElements = 8192;
  return std::max<std::int64_t>(kElements / std::max<std::int64_t>(rows.length(), 1), 1);
}

}  // namespace

void layer_norm(Stream& stream, Workspace&, const LayerNormArgs& args) {
  if (args.x.elements() == 0) return;
  const CpuDevice& device = cpu_device(stream);
  const Shape& shape = args.x.shape();
  const LayerNormRows rows = {.x = Rows(args.x),
                              .shift = Rows(args.shift, shape),
                              .scale = Rows(args.scale, shape),
                              .weight = vector_source(args.weight),
                              .bias = vector_source(args.bias),
                              .eps = args.eps,
                              .out = Rows(args.out)};
  parallel_for(
      device.threads(), rows.x.count(), grain_of(rows.x),
      [&](std::int64_t begin, std::int64_t end) { device.kernels().layer_norm(rows, begin, end); });
}

void rms_norm(Stream& stream, Workspace&, const RmsNormArgs& args) {
  if (args.x.elements() == 0) return;
  const CpuDevice& device = cpu_device(stream);
  const RmsNormRows rows = {.x = Rows(args.x),
                            .weight = vector_source(args.weight),
                            .eps = args.eps,
                            .l2 = args.l2,
                            .activation = args.activation,
                            .out = Rows(args.out)};
  parallel_for(
      device.threads(), rows.x.count(), grain_of(rows.x),
      [&](std::int64_t begin, std::int64_t end) { device.kernels().rms_norm(rows, begin, end); });
}

void rope(Stream& stream, Workspace&, const RopeArgs& args) {
  if (args.x.elements() == 0) return;
  const CpuDevice& device = cpu_device(stream);
  const Shape& shape = args.x.shape();
  const std::int64_t pairs = args.freqs.shape()[2];
  require(args.freqs.dtype() == DType::F32, ErrorCode::Unsupported,
          "cpu rope: wanted f32 angles, found ", name_of(args.freqs.dtype()));
  const Tensor freqs =
      args.freqs.expand({shape[0], shape[1], pairs, 2}).reshape({shape[0], shape[1], 2 * pairs});
  const RopeRows rows = {.x = Rows(args.x),
                         .freqs = Rows(freqs),
                         .heads = shape[2],
                         .pairs = pairs,
                         .layout = args.layout,
                         .norm_weight = vector_source(args.norm_weight),
                         .eps = args.eps,
                         .out = Rows(args.out)};
  parallel_for(
      device.threads(), rows.x.count(), grain_of(rows.x),
      [&](std::int64_t begin, std::int64_t end) { device.kernels().rope(rows, begin, end); });
}

void guide(Stream& stream, Workspace&, const GuideArgs& args) {
  if (args.cond.elements() == 0) return;
  const CpuDevice& device = cpu_device(stream);
  const GuideRows rows = {.cond = Rows(args.cond),
                          .uncond = Rows(args.uncond),
                          .factor = args.factor,
                          .rescale = args.rescale,
                          .out = Rows(args.out)};
  parallel_for(
      device.threads(), rows.cond.count(), grain_of(rows.cond),
      [&](std::int64_t begin, std::int64_t end) { device.kernels().guide(rows, begin, end); });
}

}  // namespace annulus::cpu

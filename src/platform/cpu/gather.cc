// Operations that only move elements: rows of a table, pixels repeated.
#include <algorithm>

#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/ops.h"

namespace annulus::cpu {

void embedding(Stream& stream, Workspace&, const EmbeddingArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  const auto ids = args.ids.view<std::int32_t, 2>();
  const Rows table(args.table), out(args.out);
  const std::int64_t seq = ids.extent[1];
  if (args.out.elements() == 0) return;
  parallel_for(device.threads(), out.count(), std::max<std::int64_t>(16384 / out.length(), 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row)
                   device.kernels().convert(table.source(ids(row / seq, row % seq)),
                                            Activation::None, out.sink(row), out.length());
               });
}

void upsample_nearest(Stream& stream, Workspace&, const UpsampleNearestArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  const Rows x(args.x), out(args.out);  // one pixel each
  const std::int64_t factor = args.factor, height = args.out.shape()[2],
                     width = args.out.shape()[3], channels = out.length();
  if (args.out.elements() == 0) return;
  const std::int64_t lines = out.count() / width;
  parallel_for(device.threads(), lines, std::max<std::int64_t>(16384 / (width * channels), 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t line = begin; line < end; ++line) {
                   const std::int64_t from =
                       (line / height * (height / factor) + line % height / factor) *
                       (width / factor);
                   for (std::int64_t column = 0; column < width; ++column)
                     device.kernels().convert(x.source(from + column / factor), Activation::None,
                                              out.sink(line * width + column), channels);
                 }
               });
}

}  // namespace annulus::cpu

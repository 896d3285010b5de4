#include <algorithm>

#include "base/parallel_for.h"
#include "platform/reference/activation.h"
#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"
#include "tensor/host_device.h"

namespace annulus::reference {

void linear(Stream& stream, Workspace&, const LinearArgs& args) {
  const std::int64_t in = args.weight.shape()[1], outputs = args.weight.shape()[0];
  const Doubles x = doubles(stream, args.x), bias = doubles(stream, args.bias);
  const Doubles out = room(stream, args.out.shape());
  const std::int64_t rows = outputs == 0 ? 0 : args.out.elements() / outputs;
  constexpr std::int64_t kBlock = 256;  // rows of the weight in double at a time
  for (std::int64_t first = 0; first < outputs; first += kBlock) {
    const std::int64_t last = std::min(first + kBlock, outputs);
    const Doubles weight = doubles(stream, args.weight.slice(0, first, last));
    parallel_for(host_threads(stream), last - first, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o)
        for (std::int64_t row = 0; row < rows; ++row) {
          const double sum = dot(x.data() + row * in, weight.data() + o * in, in);
          out[row * outputs + first + o] =
              activated(args.activation, sum + (bias.present() ? bias[first + o] : 0));
        }
    });
  }
  store(stream, out, args.out);
}

void matmul(Stream& stream, Workspace&, const MatmulArgs& args) {
  const std::int64_t batch = args.a.shape()[0], m = args.a.shape()[1], k = args.a.shape()[2],
                     n = args.b.shape()[2];
  const Doubles a = doubles(stream, args.a);
  const Doubles b = doubles(stream, args.b.permute({0, 2, 1}));  // [batch, n, k]
  const Doubles out = args.accumulate ? doubles(stream, args.out) : room(stream, args.out.shape());
  parallel_for(host_threads(stream), batch * m, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < n; ++column) {
        const double product = static_cast<double>(args.alpha) *
                               dot(a.data() + row * k, b.data() + (row / m * n + column) * k, k);
        double& element = out[row * n + column];
        element = args.accumulate ? element + product : product;
      }
  });
  store(stream, out, args.out);
}

}  // namespace annulus::reference

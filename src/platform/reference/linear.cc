#include <algorithm>

#include "base/parallel_for.h"
#include "platform/reference/activation.h"
#include "platform/reference/ops.h"
#include "platform/reference/values.h"
#include "tensor/host_device.h"

namespace annulus::reference {

template <class Real>
void linear(Stream& stream, Workspace&, const LinearArgs& args) {
  const std::int64_t in = args.weight.shape()[1], outputs = args.weight.shape()[0];
  const Values<Real> x = values<Real>(stream, args.x), bias = values<Real>(stream, args.bias);
  const Values<Real> out = room<Real>(stream, args.out.shape());
  const std::int64_t rows = outputs == 0 ? 0 : args.out.elements() / outputs;
  constexpr std::int64_t kBlock = 256;  // rows of the weight that are held converted
  for (std::int64_t first = 0; first < outputs; first += kBlock) {
    const std::int64_t last = std::min(first + kBlock, outputs);
    const Values<Real> weight = values<Real>(stream, args.weight.slice(0, first, last));
    parallel_for(host_threads(stream), last - first, worth_a_thread(rows * in),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t o = begin; o < end; ++o)
                     for (std::int64_t row = 0; row < rows; ++row) {
                       const Real sum = dot(x.data() + row * in, weight.data() + o * in, in);
                       out[row * outputs + first + o] =
                           activated(args.activation, sum + (bias.present() ? bias[first + o] : 0));
                     }
                 });
  }
  store(stream, out, args.out);
}

template <class Real>
void matmul(Stream& stream, Workspace&, const MatmulArgs& args) {
  const std::int64_t batch = args.a.shape()[0], m = args.a.shape()[1], k = args.a.shape()[2],
                     n = args.b.shape()[2];
  const Values<Real> a = values<Real>(stream, args.a);
  const Values<Real> b = values<Real>(stream, args.b.permute({0, 2, 1}));  // [batch, n, k]
  const Values<Real> out =
      args.accumulate ? values<Real>(stream, args.out) : room<Real>(stream, args.out.shape());
  parallel_for(host_threads(stream), batch * m, worth_a_thread(k * n),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row)
                   for (std::int64_t column = 0; column < n; ++column) {
                     const Real product =
                         static_cast<Real>(args.alpha) *
                         dot(a.data() + row * k, b.data() + (row / m * n + column) * k, k);
                     Real& element = out[row * n + column];
                     element = args.accumulate ? element + product : product;
                   }
               });
  store(stream, out, args.out);
}

template void linear<double>(Stream&, Workspace&, const LinearArgs&);
template void linear<float>(Stream&, Workspace&, const LinearArgs&);
template void matmul<double>(Stream&, Workspace&, const MatmulArgs&);
template void matmul<float>(Stream&, Workspace&, const MatmulArgs&);

}  // namespace annulus::reference

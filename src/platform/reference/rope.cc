#include <cmath>

#include "base/parallel_for.h"
#include "platform/reference/ops.h"
#include "platform/reference/values.h"
#include "tensor/host_device.h"

namespace annulus::reference {

template <class Real>
void rope(Stream& stream, Workspace&, const RopeArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t batch = shape[0], seq = shape[1], heads = shape[2], head_dim = shape[3];
  const std::int64_t pairs = args.freqs.shape()[2];
  const Values<Real> x = values<Real>(stream, args.x),
                     weight = values<Real>(stream, args.norm_weight);
  const Values<Real> freqs = values<Real>(stream, &args.freqs, {batch, seq, pairs, 2});
  const bool neighbours = args.layout == RopeLayout::Pairs;
  parallel_for(host_threads(stream), batch * seq * heads, worth_a_thread(head_dim),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   Real* const head = x.data() + row * head_dim;
                   if (weight.present()) {
                     const Real mean = dot(head, head, head_dim) / static_cast<Real>(head_dim);
                     const Real root = std::sqrt(mean + static_cast<Real>(args.eps));
                     for (std::int64_t i = 0; i < head_dim; ++i) head[i] *= weight[i] / root;
                   }
                   for (std::int64_t pair = 0; pair < pairs; ++pair) {
                     Real& a = head[neighbours ? 2 * pair : pair];
                     Real& b = head[neighbours ? 2 * pair + 1 : pairs + pair];
                     const Real* const angle = freqs.data() + (row / heads * pairs + pair) * 2;
                     const Real turned_a = a * angle[0] - b * angle[1];
                     b = b * angle[0] + a * angle[1];
                     a = turned_a;
                   }
                 }
               });
  store(stream, x, args.out);
}

template void rope<double>(Stream&, Workspace&, const RopeArgs&);
template void rope<float>(Stream&, Workspace&, const RopeArgs&);

}  // namespace annulus::reference

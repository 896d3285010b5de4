#include <cmath>

#include "base/parallel_for.h"
#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"
#include "tensor/host_device.h"

namespace annulus::reference {

void rope(Stream& stream, Workspace&, const RopeArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t batch = shape[0], seq = shape[1], heads = shape[2], head_dim = shape[3];
  const std::int64_t pairs = args.freqs.shape()[2];
  const Doubles x = doubles(stream, args.x), weight = doubles(stream, args.norm_weight);
  const Doubles freqs = doubles(stream, &args.freqs, {batch, seq, pairs, 2});
  const bool neighbours = args.layout == RopeLayout::Pairs;
  parallel_for(host_threads(stream), batch * seq * heads, 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   double* const head = x.data() + row * head_dim;
                   if (weight.present()) {
                     const double mean = dot(head, head, head_dim) / static_cast<double>(head_dim);
                     const double root = std::sqrt(mean + static_cast<double>(args.eps));
                     for (std::int64_t i = 0; i < head_dim; ++i) head[i] *= weight[i] / root;
                   }
                   for (std::int64_t pair = 0; pair < pairs; ++pair) {
                     double& a = head[neighbours ? 2 * pair : pair];
                     double& b = head[neighbours ? 2 * pair + 1 : pairs + pair];
                     const double* const angle = freqs.data() + (row / heads * pairs + pair) * 2;
                     const double turned_a = a * angle[0] - b * angle[1];
                     b = b * angle[0] + a * angle[1];
                     a = turned_a;
                   }
                 }
               });
  store(stream, x, args.out);
}

}  // namespace annulus::reference

#include <algorithm>
#include <cmath>
#include <limits>

#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"

namespace annulus::reference {

void softmax(Stream& stream, Workspace&, const SoftmaxArgs& args) {
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  const std::int64_t batch = args.x.shape()[0], rows = args.x.shape()[1],
                     columns = args.x.shape()[2];
  const Doubles x = doubles(stream, args.x), mask = doubles(stream, args.mask);
  const Doubles lse = room(stream, {batch, rows});
  for (std::int64_t row = 0; row < batch * rows; ++row) {
    double* const values = x.data() + row * columns;
    double most = kNothing, sum = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      if (mask.present()) values[i] += mask[row * columns + i];
      most = std::isnan(values[i]) ? values[i] : std::max(most, values[i]);
    }
    for (std::int64_t i = 0; i < columns; ++i) {
      values[i] = most == kNothing ? 0 : std::exp(values[i] - most);
      sum += values[i];
    }
    for (std::int64_t i = 0; i < columns; ++i) values[i] /= most == kNothing ? 1 : sum;
    lse[row] = most == kNothing ? kNothing : most + std::log(sum);
  }
  store(stream, x, args.out);
  if (args.lse != nullptr) store(stream, lse, *args.lse);
}

}  // namespace annulus::reference

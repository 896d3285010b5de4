#include <algorithm>
#include <cmath>
#include <limits>

#include "platform/reference/ops.h"
#include "platform/reference/values.h"

namespace annulus::reference {

template <class Real>
void softmax(Stream& stream, Workspace&, const SoftmaxArgs& args) {
  constexpr Real kNothing = -std::numeric_limits<Real>::infinity();
  const std::int64_t batch = args.x.shape()[0], rows = args.x.shape()[1],
                     columns = args.x.shape()[2];
  const Values<Real> x = values<Real>(stream, args.x), mask = values<Real>(stream, args.mask);
  const Values<Real> lse = room<Real>(stream, {batch, rows});
  for (std::int64_t row = 0; row < batch * rows; ++row) {
    Real* const values = x.data() + row * columns;
    Real most = kNothing, sum = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      if (mask.present()) {
        const Real added = mask[row * columns + i];
        values[i] = added == kNothing ? kNothing : values[i] + added;
      }
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

template void softmax<double>(Stream&, Workspace&, const SoftmaxArgs&);
template void softmax<float>(Stream&, Workspace&, const SoftmaxArgs&);

}  // namespace annulus::reference

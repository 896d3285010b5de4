#include <cmath>

#include "platform/reference/ops.h"
#include "platform/reference/values.h"

namespace annulus::reference {

template <class Real>
bool all_finite(Stream& stream, Workspace&, const AllFiniteArgs& args) {
  const Values<Real> x = values<Real>(stream, args.x);
  for (std::int64_t i = 0; i < args.x.elements(); ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

template bool all_finite<double>(Stream&, Workspace&, const AllFiniteArgs&);
template bool all_finite<float>(Stream&, Workspace&, const AllFiniteArgs&);

}  // namespace annulus::reference

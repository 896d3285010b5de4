#include <cmath>

#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"

namespace annulus::reference {

bool all_finite(Stream& stream, Workspace&, const AllFiniteArgs& args) {
  const Doubles x = doubles(stream, args.x);
  for (std::int64_t i = 0; i < args.x.elements(); ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

}  // namespace annulus::reference

#include <cmath>

#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"

namespace annulus::reference {

void guide(Stream& stream, Workspace&, const GuideArgs& args) {
  const std::int64_t channels = args.cond.shape()[-1];
  if (args.cond.elements() == 0) return;
  const Doubles cond = doubles(stream, args.cond), uncond = doubles(stream, args.uncond);
  const Doubles out = room(stream, args.out.shape());
  for (std::int64_t row = 0; row < args.cond.elements() / channels; ++row) {
    const double* const c = cond.data() + row * channels;
    const double* const u = uncond.data() + row * channels;
    double* const g = out.data() + row * channels;
    for (std::int64_t i = 0; i < channels; ++i)
      g[i] = u[i] + static_cast<double>(args.factor) * (c[i] - u[i]);
    if (!args.rescale) continue;
    const double ratio = std::sqrt(dot(c, c, channels)) / std::sqrt(dot(g, g, channels));
    for (std::int64_t i = 0; i < channels; ++i) g[i] *= ratio;
  }
  store(stream, out, args.out);
}

}  // namespace annulus::reference

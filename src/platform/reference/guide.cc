#include <cmath>

#include "platform/reference/ops.h"
#include "platform/reference/values.h"

namespace annulus::reference {

template <class Real>
void guide(Stream& stream, Workspace&, const GuideArgs& args) {
  const std::int64_t channels = args.cond.shape()[-1];
  if (args.cond.elements() == 0) return;
  const Values<Real> cond = values<Real>(stream, args.cond),
                     uncond = values<Real>(stream, args.uncond);
  const Values<Real> out = room<Real>(stream, args.out.shape());
  for (std::int64_t row = 0; row < args.cond.elements() / channels; ++row) {
    const Real* const c = cond.data() + row * channels;
    const Real* const u = uncond.data() + row * channels;
    Real* const g = out.data() + row * channels;
    for (std::int64_t i = 0; i < channels; ++i)
      g[i] = u[i] + static_cast<Real>(args.factor) * (c[i] - u[i]);
    if (!args.rescale) continue;
    const Real ratio = std::sqrt(dot(c, c, channels)) / std::sqrt(dot(g, g, channels));
    for (std::int64_t i = 0; i < channels; ++i) g[i] *= ratio;
  }
  store(stream, out, args.out);
}

template void guide<double>(Stream&, Workspace&, const GuideArgs&);
template void guide<float>(Stream&, Workspace&, const GuideArgs&);

}  // namespace annulus::reference

#include "platform/reference/activation.h"
#include "platform/reference/ops.h"
#include "platform/reference/values.h"

namespace annulus::reference {

template <class Real>
void activate(Stream& stream, Workspace&, const ActivateArgs& args) {
  const Values<Real> x = values<Real>(stream, args.x);
  for (std::int64_t i = 0; i < args.x.elements(); ++i) x[i] = activated(args.activation, x[i]);
  store(stream, x, args.out);
}

template <class Real>
void gated_activate(Stream& stream, Workspace&, const GatedActivateArgs& args) {
  const Values<Real> gate = values<Real>(stream, args.gate), up = values<Real>(stream, args.up);
  for (std::int64_t i = 0; i < args.gate.elements(); ++i)
    gate[i] = activated(args.activation, gate[i]) * up[i];
  store(stream, gate, args.out);
}

template <class Real>
void add_gated(Stream& stream, Workspace&, const AddGatedArgs& args) {
  const Values<Real> x = values<Real>(stream, args.x), y = values<Real>(stream, args.y);
  const Values<Real> gate = values<Real>(stream, &args.gate, args.x.shape());
  for (std::int64_t i = 0; i < args.x.elements(); ++i) x[i] += gate[i] * y[i];
  store(stream, x, args.x);
}

template <class Real>
void combine(Stream& stream, Workspace&, const CombineArgs& args) {
  const Values<Real> out = room<Real>(stream, args.out.shape());
  for (std::int64_t i = 0; i < args.out.elements(); ++i) out[i] = 0;
  for (const Term& term : args.terms) {
    const Values<Real> x = values<Real>(stream, *term.x);
    for (std::int64_t i = 0; i < args.out.elements(); ++i)
      out[i] += static_cast<Real>(term.factor) * x[i];
  }
  store(stream, out, args.out);
}

template <class Real>
void scale_shift(Stream& stream, Workspace&, const ScaleShiftArgs& args) {
  const Values<Real> x = values<Real>(stream, args.x);
  const Values<Real> scale = values<Real>(stream, args.scale),
                     shift = values<Real>(stream, args.shift);
  for (std::int64_t i = 0; i < args.out.elements(); ++i) x[i] = x[i] * scale[i] + shift[i];
  store(stream, x, args.out);
}

template void activate<double>(Stream&, Workspace&, const ActivateArgs&);
template void activate<float>(Stream&, Workspace&, const ActivateArgs&);
template void gated_activate<double>(Stream&, Workspace&, const GatedActivateArgs&);
template void gated_activate<float>(Stream&, Workspace&, const GatedActivateArgs&);
template void add_gated<double>(Stream&, Workspace&, const AddGatedArgs&);
template void add_gated<float>(Stream&, Workspace&, const AddGatedArgs&);
template void combine<double>(Stream&, Workspace&, const CombineArgs&);
template void combine<float>(Stream&, Workspace&, const CombineArgs&);
template void scale_shift<double>(Stream&, Workspace&, const ScaleShiftArgs&);
template void scale_shift<float>(Stream&, Workspace&, const ScaleShiftArgs&);

}  // namespace annulus::reference

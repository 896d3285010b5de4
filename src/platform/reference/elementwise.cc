#include "platform/reference/activation.h"
#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"

namespace annulus::reference {

void activate(Stream& stream, Workspace&, const ActivateArgs& args) {
  const Doubles x = doubles(stream, args.x);
  for (std::int64_t i = 0; i < args.x.elements(); ++i) x[i] = activated(args.activation, x[i]);
  store(stream, x, args.out);
}

void gated_activate(Stream& stream, Workspace&, const GatedActivateArgs& args) {
  const Doubles gate = doubles(stream, args.gate), up = doubles(stream, args.up);
  for (std::int64_t i = 0; i < args.gate.elements(); ++i)
    gate[i] = activated(args.activation, gate[i]) * up[i];
  store(stream, gate, args.out);
}

void add_gated(Stream& stream, Workspace&, const AddGatedArgs& args) {
  const Doubles x = doubles(stream, args.x), y = doubles(stream, args.y);
  const Doubles gate = doubles(stream, &args.gate, args.x.shape());
  for (std::int64_t i = 0; i < args.x.elements(); ++i) x[i] += gate[i] * y[i];
  store(stream, x, args.x);
}

void combine(Stream& stream, Workspace&, const CombineArgs& args) {
  const Doubles out = room(stream, args.out.shape());
  for (std::int64_t i = 0; i < args.out.elements(); ++i) out[i] = 0;
  for (const Term& term : args.terms) {
    const Doubles x = doubles(stream, *term.x);
    for (std::int64_t i = 0; i < args.out.elements(); ++i)
      out[i] += static_cast<double>(term.factor) * x[i];
  }
  store(stream, out, args.out);
}

void scale_shift(Stream& stream, Workspace&, const ScaleShiftArgs& args) {
  const Doubles x = doubles(stream, args.x);
  const Doubles scale = doubles(stream, args.scale), shift = doubles(stream, args.shift);
  for (std::int64_t i = 0; i < args.out.elements(); ++i) x[i] = x[i] * scale[i] + shift[i];
  store(stream, x, args.out);
}

}  // namespace annulus::reference

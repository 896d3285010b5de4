#include <algorithm>
#include <cmath>

#include "base/parallel_for.h"
#include "platform/reference/activation.h"
#include "platform/reference/ops.h"
#include "platform/reference/values.h"
#include "tensor/host_device.h"

namespace annulus::reference {

template <class Real>
void layer_norm(Stream& stream, Workspace&, const LayerNormArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t hidden = shape[-1];
  if (shape.elements() == 0) return;
  const Values<Real> x = values<Real>(stream, args.x);
  const Values<Real> weight = values<Real>(stream, args.weight),
                     bias = values<Real>(stream, args.bias);
  const Values<Real> shift = values<Real>(stream, args.shift, shape),
                     scale = values<Real>(stream, args.scale, shape);
  parallel_for(host_threads(stream), shape.elements() / hidden, worth_a_thread(hidden),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   Real* const values = x.data() + row * hidden;
                   Real mean = 0, variance = 0;
                   for (std::int64_t i = 0; i < hidden; ++i) mean += values[i];
                   mean /= static_cast<Real>(hidden);
                   for (std::int64_t i = 0; i < hidden; ++i)
                     variance += (values[i] - mean) * (values[i] - mean);
                   variance /= static_cast<Real>(hidden);
                   const Real deviation = std::sqrt(variance + static_cast<Real>(args.eps));
                   for (std::int64_t i = 0; i < hidden; ++i) {
                     Real y = (values[i] - mean) / deviation;
                     if (weight.present()) y *= weight[i];
                     if (bias.present()) y += bias[i];
                     if (scale.present()) y *= 1 + scale[row * hidden + i];
                     if (shift.present()) y += shift[row * hidden + i];
                     values[i] = y;
                   }
                 }
               });
  store(stream, x, args.out);
}

template <class Real>
void rms_norm(Stream& stream, Workspace&, const RmsNormArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t channels = shape[-1];
  if (shape.elements() == 0) return;
  const Values<Real> x = values<Real>(stream, args.x), weight = values<Real>(stream, args.weight);
  const Real count = static_cast<Real>(channels), eps = static_cast<Real>(args.eps);
  parallel_for(host_threads(stream), shape.elements() / channels, worth_a_thread(channels),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   Real* const values = x.data() + row * channels;
                   const Real squares = dot(values, values, channels);
                   const Real factor = args.l2
                                           ? std::sqrt(count) / std::max(std::sqrt(squares), eps)
                                           : 1 / std::sqrt(squares / count + eps);
                   for (std::int64_t i = 0; i < channels; ++i)
                     values[i] = activated(args.activation,
                                           values[i] * factor * (weight.present() ? weight[i] : 1));
                 }
               });
  store(stream, x, args.out);
}

template void layer_norm<double>(Stream&, Workspace&, const LayerNormArgs&);
template void layer_norm<float>(Stream&, Workspace&, const LayerNormArgs&);
template void rms_norm<double>(Stream&, Workspace&, const RmsNormArgs&);
template void rms_norm<float>(Stream&, Workspace&, const RmsNormArgs&);

}  // namespace annulus::reference

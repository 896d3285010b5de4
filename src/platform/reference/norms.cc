#include <algorithm>
#include <cmath>

#include "base/parallel_for.h"
#include "platform/reference/activation.h"
#include "platform/reference/doubles.h"
#include "platform/reference/ops.h"
#include "tensor/host_device.h"

namespace annulus::reference {

void layer_norm(Stream& stream, Workspace&, const LayerNormArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t hidden = shape[-1];
  if (shape.elements() == 0) return;
  const Doubles x = doubles(stream, args.x);
  const Doubles weight = doubles(stream, args.weight), bias = doubles(stream, args.bias);
  const Doubles shift = doubles(stream, args.shift, shape),
                scale = doubles(stream, args.scale, shape);
  parallel_for(host_threads(stream), shape.elements() / hidden, 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   double* const values = x.data() + row * hidden;
                   double mean = 0, variance = 0;
                   for (std::int64_t i = 0; i < hidden; ++i) mean += values[i];
                   mean /= static_cast<double>(hidden);
                   for (std::int64_t i = 0; i < hidden; ++i)
                     variance += (values[i] - mean) * (values[i] - mean);
                   variance /= static_cast<double>(hidden);
                   const double deviation = std::sqrt(variance + static_cast<double>(args.eps));
                   for (std::int64_t i = 0; i < hidden; ++i) {
                     double y = (values[i] - mean) / deviation;
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

void rms_norm(Stream& stream, Workspace&, const RmsNormArgs& args) {
  const Shape& shape = args.x.shape();
  const std::int64_t channels = shape[-1];
  if (shape.elements() == 0) return;
  const Doubles x = doubles(stream, args.x), weight = doubles(stream, args.weight);
  const double count = static_cast<double>(channels), eps = static_cast<double>(args.eps);
  parallel_for(host_threads(stream), shape.elements() / channels, 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   double* const values = x.data() + row * channels;
                   const double squares = dot(values, values, channels);
                   const double factor = args.l2
                                             ? std::sqrt(count) / std::max(std::sqrt(squares), eps)
                                             : 1 / std::sqrt(squares / count + eps);
                   for (std::int64_t i = 0; i < channels; ++i)
                     values[i] = activated(args.activation,
                                           values[i] * factor * (weight.present() ? weight[i] : 1));
                 }
               });
  store(stream, x, args.out);
}

}  // namespace annulus::reference

#include "base/parallel_for.h"
#include "platform/reference/ops.h"
#include "platform/reference/values.h"
#include "tensor/host_device.h"

namespace annulus::reference {

template <class Real>
void conv(Stream& stream, Workspace&, const ConvArgs& args) {
  const Shape& in_shape = args.x.shape();
  const Shape& out_shape = args.out.shape();
  const Shape& kernel = args.weight.shape();  // [out, in, kt, kh, kw]
  const std::int64_t in = kernel[1], outputs = kernel[0];
  if (out_shape.elements() == 0) return;
  const Values<Real> x = values<Real>(stream, args.x), bias = values<Real>(stream, args.bias);
  const Values<Real> weight =
      values<Real>(stream, args.weight.permute({0, 2, 3, 4, 1}));  // in is last
  const Values<Real> out = room<Real>(stream, out_shape);

  const auto pixel = [&](std::int64_t batch, std::int64_t frame, std::int64_t row,
                         std::int64_t column, std::int64_t output) {
    Real sum = bias.present() ? bias[output] : 0;
    for (std::int64_t t = 0; t < kernel[2]; ++t)
      for (std::int64_t h = 0; h < kernel[3]; ++h)
        for (std::int64_t w = 0; w < kernel[4]; ++w) {
          const std::int64_t from_frame = frame * args.stride[0] + t - args.pad_before[0],
                             from_row = row * args.stride[1] + h - args.pad_before[1],
                             from_column = column * args.stride[2] + w - args.pad_before[2];
          if (from_frame < 0 || from_frame >= in_shape[1] || from_row < 0 ||
              from_row >= in_shape[2] || from_column < 0 || from_column >= in_shape[3])
            continue;  // padding
          const std::int64_t tap = ((output * kernel[2] + t) * kernel[3] + h) * kernel[4] + w;
          const std::int64_t from =
              ((batch * in_shape[1] + from_frame) * in_shape[2] + from_row) * in_shape[3] +
              from_column;
          sum = dot(x.data() + from * in, weight.data() + tap * in, in, sum);
        }
    return sum;
  };

  parallel_for(
      host_threads(stream), out_shape.elements() / outputs,
      worth_a_thread(weight.tensor().elements()), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end; ++at) {
          const std::int64_t column = at % out_shape[3], line = at / out_shape[3];
          const std::int64_t row = line % out_shape[2], picture = line / out_shape[2];
          const std::int64_t frame = picture % out_shape[1], batch = picture / out_shape[1];
          for (std::int64_t output = 0; output < outputs; ++output)
            out[at * outputs + output] = pixel(batch, frame, row, column, output);
        }
      });
  store(stream, out, args.out);
}

template <class Real>
void upsample_nearest(Stream& stream, Workspace&, const UpsampleNearestArgs& args) {
  const Shape& shape = args.out.shape();
  const std::int64_t height = shape[2], width = shape[3], channels = shape[4];
  const Values<Real> x = values<Real>(stream, args.x), out = room<Real>(stream, shape);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const std::int64_t channel = i % channels, column = i / channels % width,
                       row = i / channels / width % height, picture = i / channels / width / height;
    const std::int64_t from_row = picture * (height / args.factor) + row / args.factor;
    out[i] = x[(from_row * (width / args.factor) + column / args.factor) * channels + channel];
  }
  store(stream, out, args.out);
}

template void conv<double>(Stream&, Workspace&, const ConvArgs&);
template void conv<float>(Stream&, Workspace&, const ConvArgs&);
template void upsample_nearest<double>(Stream&, Workspace&, const UpsampleNearestArgs&);
template void upsample_nearest<float>(Stream&, Workspace&, const UpsampleNearestArgs&);

}  // namespace annulus::reference

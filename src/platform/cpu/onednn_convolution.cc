#include "platform/cpu/onednn_primitives.h"

namespace annulus::cpu {

namespace {

using dnnl::memory;

// [batch, channels] and the axes that count: height and width, or frames before them.
memory::dims dims(std::int64_t first, std::int64_t second, const std::array<std::int64_t, 3>& space,
                  bool flat) {
  if (flat) return {first, second, space[1], space[2]};
  return {first, second, space[0], space[1], space[2]};
}

memory::dims dims(const std::array<std::int64_t, 3>& space, bool flat) {
  if (flat) return {space[1], space[2]};
  return {space[0], space[1], space[2]};
}

}  // namespace

MadeConvolution make_convolution(const dnnl::engine& engine, const Convolution& wanted) {
  // One frame in, one out, of one tap: a 2-D convolution.
  const bool flat = wanted.x_extent[0] == 1 && wanted.out_extent[0] == 1 && wanted.kernel[0] == 1;
  const auto last = flat ? memory::format_tag::nhwc : memory::format_tag::ndhwc;
  const memory::desc x(dims(wanted.batch, wanted.in, wanted.x_extent, flat),
                       onednn_type(wanted.data), last);
  const memory::desc out(dims(wanted.batch, wanted.out_channels, wanted.out_extent, flat),
                         onednn_type(wanted.out), last);
  const memory::dims kernel = dims(wanted.out_channels, wanted.in, wanted.kernel, flat);
  const memory::desc any(kernel, onednn_type(wanted.data), memory::format_tag::any);
  const auto& s = wanted.weight_stride;
  const memory::desc weight(
      kernel, onednn_type(wanted.weight),
      flat ? memory::dims{s[0], s[1], s[3], s[4]} : memory::dims{s[0], s[1], s[2], s[3], s[4]});
  memory::desc bias;
  if (wanted.bias)
    bias = memory::desc(memory::dims{wanted.out_channels}, memory::data_type::f32,
                        memory::format_tag::a);
  const memory::dims stride = dims(wanted.stride, flat), before = dims(wanted.pad_before, flat),
                     after = dims(wanted.pad_after, flat);
  const dnnl::primitive_attr attr = attributes(1.0f, false);
  constexpr auto kKind = dnnl::prop_kind::forward_inference;
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  using Desc = dnnl::convolution_forward::primitive_desc;
  const Desc desc =
      wanted.bias ? Desc(engine, kKind, kAlgorithm, x, any, bias, out, stride, before, after, attr)
                  : Desc(engine, kKind, kAlgorithm, x, any, out, stride, before, after, attr);
#else
  const dnnl::convolution_forward::desc description =
      wanted.bias
          ? dnnl::convolution_forward::desc(kKind, kAlgorithm, x, any, bias, out, stride, before,
                                            after)
          : dnnl::convolution_forward::desc(kKind, kAlgorithm, x, any, out, stride, before, after);
  const dnnl::convolution_forward::primitive_desc desc(description, attr, engine);
#endif
  const dnnl::reorder::primitive_desc arrange(engine, weight, engine, desc.weights_desc());
  return {desc, dnnl::convolution_forward(desc), bias, weight, arrange, dnnl::reorder(arrange)};
}

}  // namespace annulus::cpu

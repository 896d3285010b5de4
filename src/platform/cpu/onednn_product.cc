#include "platform/cpu/onednn_primitives.h"

namespace annulus::cpu {

namespace {

using dnnl::memory;

memory::desc matrix(DType dtype, std::int64_t batch, std::int64_t rows, std::int64_t columns,
                    const std::array<std::int64_t, 3>& stride) {
  if (batch == 1)
    return {memory::dims{rows, columns}, onednn_type(dtype), memory::dims{stride[1], stride[2]}};
  const bool repeated = stride[0] == 0;
  return {memory::dims{repeated ? 1 : batch, rows, columns}, onednn_type(dtype),
          memory::dims{repeated ? rows * columns : stride[0], stride[1], stride[2]}};
}

}  // namespace

memory::data_type onednn_type(DType dtype) noexcept {
  return dtype == DType::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

dnnl::primitive_attr attributes(float alpha, bool accumulate) {
  dnnl::post_ops ops;
  if (accumulate) ops.append_sum(1.0f / alpha);  // alpha follows: the sum must come first
#if DNNL_VERSION_MAJOR >= 3
  if (alpha != 1.0f) ops.append_eltwise(dnnl::algorithm::eltwise_linear, alpha, 0.0f);
#else
  if (alpha != 1.0f) ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, alpha, 0.0f);
#endif
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

MadeProduct make_product(const dnnl::engine& engine, const Product& wanted) {
  const memory::desc a = matrix(wanted.factors, wanted.batch, wanted.m, wanted.k, wanted.a_stride);
  const memory::desc b = matrix(wanted.factors, wanted.batch, wanted.k, wanted.n, wanted.b_stride);
  const memory::desc out = matrix(wanted.out, wanted.batch, wanted.m, wanted.n, wanted.out_stride);
  memory::desc bias;
  if (wanted.bias)
    bias = wanted.batch == 1 ? memory::desc(memory::dims{1, wanted.n}, memory::data_type::f32,
                                            memory::format_tag::ab)
                             : memory::desc(memory::dims{1, 1, wanted.n}, memory::data_type::f32,
                                            memory::format_tag::abc);
  const dnnl::primitive_attr attr = attributes(wanted.alpha, wanted.accumulate);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc desc =
      wanted.bias ? dnnl::matmul::primitive_desc(engine, a, b, bias, out, attr)
                  : dnnl::matmul::primitive_desc(engine, a, b, out, attr);
#else
  const dnnl::matmul::desc description =
      wanted.bias ? dnnl::matmul::desc(a, b, bias, out) : dnnl::matmul::desc(a, b, out);
  const dnnl::matmul::primitive_desc desc(description, attr, engine);
#endif
  return {desc, dnnl::matmul(desc), bias};
}

MadeSoftmax make_softmax(const dnnl::engine& engine, std::int64_t rows, std::int64_t columns) {
  const memory::desc rows_of(memory::dims{rows, columns}, memory::data_type::f32,
                             memory::format_tag::ab);
  constexpr auto kKind = dnnl::prop_kind::forward_inference;
  constexpr int kAxis = 1;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::softmax_forward::primitive_desc desc(engine, kKind, dnnl::algorithm::softmax_accurate,
                                                   rows_of, rows_of, kAxis);
#else
  const dnnl::softmax_forward::primitive_desc desc(
      dnnl::softmax_forward::desc(kKind, rows_of, kAxis), engine);
#endif
  return {desc, dnnl::softmax_forward(desc)};
}

}  // namespace annulus::cpu

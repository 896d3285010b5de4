// What the files that include oneDNN share: made primitives, and the differences between its
// versions 2 and 3.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include "platform/cpu/onednn.h"

namespace annulus::cpu {

class MadeProduct {
 public:
  dnnl::matmul::primitive_desc desc;
  dnnl::matmul primitive;
  dnnl::memory::desc bias;
};

class MadeConvolution {
 public:
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
  dnnl::memory::desc bias, weight;  // weight: as in the checkpoint
  dnnl::reorder::primitive_desc arrange_desc;
  dnnl::reorder arrange;
};

class MadeSoftmax {
 public:
  dnnl::softmax_forward::primitive_desc desc;
  dnnl::softmax_forward primitive;
};

dnnl::memory::data_type onednn_type(DType dtype) noexcept;

/// Post-operations and scratch memory of ours.
dnnl::primitive_attr attributes(float alpha, bool accumulate);

MadeProduct make_product(const dnnl::engine& engine, const Product& wanted);
MadeConvolution make_convolution(const dnnl::engine& engine, const Convolution& wanted);

MadeSoftmax make_softmax(const dnnl::engine& engine, std::int64_t rows, std::int64_t columns);

/// f(), with oneDNN's exceptions turned into ours.
template <class F>
decltype(auto) with_our_errors(const char* what, F&& f) {
  try {
    return f();
  } catch (const dnnl::error& error) {
    const ErrorCode code = error.status == dnnl_out_of_memory   ? ErrorCode::OutOfMemory
                           : error.status == dnnl_unimplemented ? ErrorCode::Unsupported
                                                                : ErrorCode::DeviceFailure;
    throw Error(code, text_of(what, ": wanted oneDNN to do it, found: ", error.what()));
  }
}

}  // namespace annulus::cpu

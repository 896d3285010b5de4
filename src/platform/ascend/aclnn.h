// How operators of CANN are called: descriptors that free themselves, and the two phases with their
// workspace. Ops of the table (ops_*.cc) are written with these.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "platform/ascend/ascend_device.h"

namespace annulus::ascend {

/// Owns a descriptor; destroys it with its function.
template <class T>
using Handle = std::unique_ptr<const T, cann::aclnnStatus (*)(const T*)>;
using TensorHandle = Handle<cann::aclTensor>;
using ScalarHandle = Handle<cann::aclScalar>;
using IntsHandle = Handle<cann::aclIntArray>;
using ListHandle = Handle<cann::aclTensorList>;

/// The dtype's number there. Throws Unsupported for f64, which these devices do not compute in.
cann::aclDataType acl_type(DType dtype);

/// Calls operators on one stream. Tensors lie on its device.
class Aclnn {
 public:
  explicit Aclnn(Stream& stream);

  Stream& stream() const noexcept { return stream_; }
  AscendDevice& device() const noexcept { return device_; }
  const CannApi& api() const noexcept { return device_.api(); }

  // Descriptors. Axes that are repeated (stride 0) are shown with extent 1 by `repeated`, for
  // operators that broadcast.
  TensorHandle tensor(const Tensor& x, cann::aclFormat format = cann::ACL_FORMAT_ND) const;
  TensorHandle repeated(const Tensor& x) const;
  ScalarHandle scalar(float value) const;
  ScalarHandle scalar(std::int64_t value) const;
  IntsHandle ints(std::span<const std::int64_t> values) const;
  ListHandle list(const Tensor& x) const;

  /// Both phases. `args` are those of the operator but for workspace size and executor.
  template <class Plan, class... Args>
  void run(const AclnnOperator<Plan>& op, Args... args) const {
    device_.context().enter();
    std::uint64_t bytes = 0;
    cann::aclOpExecutor* executor = nullptr;
    const cann::aclnnStatus planned = op.plan(args..., &bytes, &executor);
    finish(op.name, planned, op.run, bytes, executor);
  }

  /// For operators that take what they write as non-const.
  static cann::aclTensor* mutable_of(const TensorHandle& handle) noexcept {
    return const_cast<cann::aclTensor*>(handle.get());
  }

  Tensor empty(const Shape& shape, DType dtype) const;

  // Elementwise, with broadcasting; out may be an input.
  void copy(const Tensor& from, Tensor& to) const;  // strides and dtypes may differ
  void fill(Tensor& to, double value) const;
  void add(const Tensor& a, const Tensor& b, float factor, Tensor& out) const;  // a + factor b
  void sub(const Tensor& a, const Tensor& b, Tensor& out) const;
  void mul(const Tensor& a, const Tensor& b, Tensor& out) const;
  void div(const Tensor& a, const Tensor& b, Tensor& out) const;
  void maximum(const Tensor& a, const Tensor& b, Tensor& out) const;
  void scale(const Tensor& a, float factor, Tensor& out) const;
  void shift(const Tensor& a, float added, Tensor& out) const;
  void add_product(const Tensor& x, const Tensor& a, const Tensor& b,
                   Tensor& out) const;  // x + a b, of one dtype
  void where(const Tensor& condition, const Tensor& yes, const Tensor& no, Tensor& out) const;
  Tensor greater(const Tensor& x, float than) const;  // bool
  Tensor less(const Tensor& x, float than) const;     // bool

  // Over the last axis, which stays with extent 1; f32.
  Tensor sum_last(const Tensor& x) const;
  Tensor max_last(const Tensor& x) const;

  Tensor in(const Tensor& x, DType dtype) const;  // x, converted where it must be
  Tensor contiguous(const Tensor& x) const;

 private:
  void finish(const char* name, cann::aclnnStatus planned, cann::aclnnRun* run, std::uint64_t bytes,
              cann::aclOpExecutor* executor) const;
  Stream& stream_;
  AscendDevice& device_;
};

}  // namespace annulus::ascend

#include "platform/ascend/aclnn.h"

#include <array>

#include "base/error.h"

namespace annulus::ascend {

namespace {

template <class T, class Destroy>
Handle<T> owned(const CannApi& api, T* made, Destroy* destroy, const char* function) {
  if (made == nullptr) {
    const char* const text = api.aclGetRecentErrMsg();
    throw Error(ErrorCode::DeviceFailure, text_of(function, ": wanted a descriptor, found none (",
                                                  text != nullptr ? text : "no reason given", ")"));
  }
  return Handle<T>(made, destroy);
}

// The tensor with one row in the place of each repeated axis.
Tensor unexpanded(const Tensor& x) {
  Tensor made = x;
  for (int axis = 0; axis < x.shape().rank(); ++axis)
    if (x.stride(axis) == 0 && x.shape()[axis] > 1) made = made.slice(axis, 0, 1);
  return made;
}

}  // namespace

cann::aclDataType acl_type(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return cann::ACL_FLOAT;
    case DType::F16:
      return cann::ACL_FLOAT16;
    case DType::BF16:
      return cann::ACL_BF16;
    case DType::I64:
      return cann::ACL_INT64;
    case DType::I32:
      return cann::ACL_INT32;
    case DType::I16:
      return cann::ACL_INT16;
    case DType::I8:
      return cann::ACL_INT8;
    case DType::U8:
      return cann::ACL_UINT8;
    case DType::Bool:
      return cann::ACL_BOOL;
    case DType::F64:
      break;
  }
  throw Error(ErrorCode::Unsupported, "dtype: wanted one that Ascend computes in, found f64");
}

Aclnn::Aclnn(Stream& stream) : stream_(stream), device_(ascend_stream(stream).ascend()) {}

TensorHandle Aclnn::tensor(const Tensor& x, cann::aclFormat format) const {
  require(&x.device() == &device_, ErrorCode::InvalidRequest, "operator: wanted a tensor of ",
          device_.name(), ", found one of ", x.device().name());
  const Shape& shape = x.shape();
  const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
  const std::byte* const base = x.buffer()->data;
  const std::int64_t storage = static_cast<std::int64_t>(x.buffer()->bytes) / size;
  return owned(
      api(),
      api().aclCreateTensor(shape.extents().data(), static_cast<std::uint64_t>(shape.rank()),
                            acl_type(x.dtype()), x.strides().data(), (x.address() - base) / size,
                            format, &storage, 1, const_cast<std::byte*>(base)),
      api().aclDestroyTensor, "aclCreateTensor");
}

TensorHandle Aclnn::repeated(const Tensor& x) const {
  return tensor(unexpanded(x));
}

ScalarHandle Aclnn::scalar(float value) const {
  return owned(api(), api().aclCreateScalar(&value, cann::ACL_FLOAT), api().aclDestroyScalar,
               "aclCreateScalar");
}

ScalarHandle Aclnn::scalar(std::int64_t value) const {
  return owned(api(), api().aclCreateScalar(&value, cann::ACL_INT64), api().aclDestroyScalar,
               "aclCreateScalar");
}

IntsHandle Aclnn::ints(std::span<const std::int64_t> values) const {
  return owned(api(), api().aclCreateIntArray(values.data(), values.size()),
               api().aclDestroyIntArray, "aclCreateIntArray");
}

ListHandle Aclnn::list(const Tensor& x) const {
  TensorHandle member = tensor(x);
  const std::array<const cann::aclTensor*, 1> members = {member.get()};
  ListHandle made = owned(api(), api().aclCreateTensorList(members.data(), 1),
                          api().aclDestroyTensorList, "aclCreateTensorList");
  member.release();  // a list destroys its members
  return made;
}

void Aclnn::finish(const char* name, cann::aclnnStatus planned, cann::aclnnRun* run,
                   std::uint64_t bytes, cann::aclOpExecutor* executor) const {
  device_.context().cann().check(planned, name);
  const cann::aclrtStream native = ascend_stream(stream_).native();
  std::shared_ptr<Buffer> workspace;  // given back at once: reuse is in the order of the stream
  try {
    if (bytes > 0) workspace = device_.allocate(bytes);
  } catch (...) {
    run(nullptr, 0, executor, native);  // refused, but it destroys the executor
    throw;
  }
  device_.context().cann().check(
      run(workspace != nullptr ? workspace->data : nullptr, bytes, executor, native), name);
}

Tensor Aclnn::empty(const Shape& shape, DType dtype) const {
  return Tensor::empty(shape, dtype, device_);
}

void Aclnn::copy(const Tensor& from, Tensor& to) const {
  run(api().copy, mutable_of(tensor(to)), repeated(from).get());
}

void Aclnn::fill(Tensor& to, double value) const {
  const ScalarHandle scalar_value = is_floating(to.dtype())
                                        ? scalar(static_cast<float>(value))
                                        : scalar(static_cast<std::int64_t>(value));
  run(api().fill, mutable_of(tensor(to)), scalar_value.get());
}

void Aclnn::add(const Tensor& a, const Tensor& b, float factor, Tensor& out) const {
  run(api().add, repeated(a).get(), repeated(b).get(), scalar(factor).get(),
      mutable_of(tensor(out)));
}

void Aclnn::sub(const Tensor& a, const Tensor& b, Tensor& out) const {
  run(api().sub, repeated(a).get(), repeated(b).get(), scalar(1.0f).get(), mutable_of(tensor(out)));
}

void Aclnn::mul(const Tensor& a, const Tensor& b, Tensor& out) const {
  run(api().mul, repeated(a).get(), repeated(b).get(), mutable_of(tensor(out)));
}

void Aclnn::div(const Tensor& a, const Tensor& b, Tensor& out) const {
  run(api().div, repeated(a).get(), repeated(b).get(), mutable_of(tensor(out)));
}

void Aclnn::maximum(const Tensor& a, const Tensor& b, Tensor& out) const {
  run(api().maximum, repeated(a).get(), repeated(b).get(), mutable_of(tensor(out)));
}

void Aclnn::scale(const Tensor& a, float factor, Tensor& out) const {
  run(api().muls, tensor(a).get(), scalar(factor).get(), mutable_of(tensor(out)));
}

void Aclnn::shift(const Tensor& a, float added, Tensor& out) const {
  run(api().adds, tensor(a).get(), scalar(added).get(), scalar(1.0f).get(),
      mutable_of(tensor(out)));
}

void Aclnn::add_product(const Tensor& x, const Tensor& a, const Tensor& b, Tensor& out) const {
  run(api().addcmul, repeated(x).get(), repeated(a).get(), repeated(b).get(), scalar(1.0f).get(),
      mutable_of(tensor(out)));
}

void Aclnn::where(const Tensor& condition, const Tensor& yes, const Tensor& no, Tensor& out) const {
  run(api().where, repeated(condition).get(), repeated(yes).get(), repeated(no).get(),
      mutable_of(tensor(out)));
}

Tensor Aclnn::greater(const Tensor& x, float than) const {
  Tensor made = empty(x.shape(), DType::Bool);
  run(api().gt_scalar, tensor(x).get(), scalar(than).get(), mutable_of(tensor(made)));
  return made;
}

Tensor Aclnn::less(const Tensor& x, float than) const {
  Tensor made = empty(x.shape(), DType::Bool);
  run(api().lt_scalar, tensor(x).get(), scalar(than).get(), mutable_of(tensor(made)));
  return made;
}

Tensor Aclnn::sum_last(const Tensor& x) const {
  Tensor made = empty(x.shape().with(-1, 1), DType::F32);
  const std::array<std::int64_t, 1> axes = {-1};
  run(api().sum, tensor(x).get(), ints(axes).get(), true, cann::ACL_FLOAT,
      mutable_of(tensor(made)));
  return made;
}

Tensor Aclnn::max_last(const Tensor& x) const {
  Tensor made = empty(x.shape().with(-1, 1), DType::F32);
  const std::array<std::int64_t, 1> axes = {-1};
  run(api().amax, tensor(x).get(), ints(axes).get(), true, mutable_of(tensor(made)));
  return made;
}

Tensor Aclnn::in(const Tensor& x, DType dtype) const {
  if (x.dtype() == dtype) return x;
  const Tensor from = unexpanded(x);
  Tensor made = empty(from.shape(), dtype);
  copy(from, made);
  return made.expand(x.shape());
}

Tensor Aclnn::contiguous(const Tensor& x) const {
  if (x.is_contiguous()) return x;
  Tensor made = empty(x.shape(), x.dtype());
  copy(x, made);
  return made;
}

}  // namespace annulus::ascend

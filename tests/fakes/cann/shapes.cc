// libopapi.so: operators that move, convert or pick elements.

#include <type_traits>

#include "objects.h"

using namespace fake_cann;
using namespace annulus::cann;

extern "C" {

int aclnnCastGetWorkspaceSize(In self, aclDataType type, Out out, Bytes bytes,
                              aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnCast", bytes, executor);
  const aclTensor a = plan.tensor(self), to = plan.tensor(out);
  plan.require(a.dims == to.dims, ACLNN_ERR_PARAM_INVALID, "out is not of self's shape");
  plan.require(to.type == type, ACLNN_ERR_PARAM_INVALID, "out is not of the wanted dtype");
  return plan.done([=] { scatter(to, gather(a)); });
}

int aclnnInplaceCopyGetWorkspaceSize(Out self, In from, Bytes bytes, aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnInplaceCopy", bytes, executor);
  const aclTensor to = plan.tensor(self), a = plan.tensor(from);
  plan.require(broadcasts(a.dims, to.dims), ACLNN_ERR_PARAM_INVALID,
               text_of(a.dims) + " does not broadcast to " + text_of(to.dims));
  return plan.done([=] { scatter(to, gather(a, to.dims)); });
}

int aclnnInplaceFillScalarGetWorkspaceSize(Out self, Scalar scalar, Bytes bytes,
                                           aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnInplaceFillScalar", bytes, executor);
  const aclTensor to = plan.tensor(self);
  plan.require(is_live(scalar), ACLNN_ERR_PARAM_NULLPTR, "a scalar is NULL or was destroyed");
  const double value = plan.failed() ? 0 : scalar->value;
  return plan.done([=] { scatter(to, Values(static_cast<std::size_t>(to.elements()), value)); });
}

int aclnnEmbeddingGetWorkspaceSize(In weight, In indices, In out, Bytes bytes,
                                   aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnEmbedding", bytes, executor);
  const aclTensor table = plan.tensor(weight), ids = plan.tensor(indices), to = plan.tensor(out);
  plan.require(table.dims.size() == 2, ACLNN_ERR_PARAM_INVALID, "weight is not of rank 2");
  plan.require(ids.type == ACL_INT32 || ids.type == ACL_INT64, ACLNN_ERR_PARAM_INVALID,
               "indices are not INT32 or INT64");
  plan.require(to.type == table.type, ACLNN_ERR_PARAM_INVALID, "out is not of weight's dtype");
  if (!plan.failed()) {
    Dims wanted = ids.dims;
    wanted.push_back(table.dims[1]);
    plan.require(to.dims == wanted, ACLNN_ERR_PARAM_INVALID, "out is not of shape indices + row");
  }
  return plan.done([=] {
    const Values rows = gather(table), picked = gather(ids);
    const auto width = static_cast<std::size_t>(table.dims[1]);
    Values values;
    for (const double id : picked) {
      if (id < 0 || id >= static_cast<double>(table.dims[0])) {
        problem("aclnnEmbedding: an index outside of the table");
        return;
      }
      const auto at =
          rows.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(id) * width);
      values.insert(values.end(), at, at + static_cast<std::ptrdiff_t>(width));
    }
    scatter(to, values);
  });
}

// Pairs from the last axis on: before, after.
int aclnnConstantPadNdGetWorkspaceSize(In self, Ints pad, Scalar scalar, Out out, Bytes bytes,
                                       aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnConstantPadNd", bytes, executor);
  const aclTensor a = plan.tensor(self), to = plan.tensor(out);
  plan.require(is_live(pad) && is_live(scalar), ACLNN_ERR_PARAM_NULLPTR, "pad or value is NULL");
  if (plan.failed()) return plan.done({});
  const double value = scalar->value;
  Dims before(a.dims.size(), 0), wanted = a.dims;
  plan.require(pad->values.size() % 2 == 0 && pad->values.size() <= 2 * a.dims.size(),
               ACLNN_ERR_PARAM_INVALID, "pad is not of pairs, or of more axes than self");
  plan.require(to.type == a.type, ACLNN_ERR_PARAM_INVALID, "mixed dtypes");
  for (std::size_t i = 0; !plan.failed() && i < pad->values.size(); i += 2) {
    const std::size_t axis = a.dims.size() - 1 - i / 2;
    plan.require(pad->values[i] >= 0 && pad->values[i + 1] >= 0, ACLNN_ERR_PARAM_INVALID,
                 "a negative pad is not emulated");
    before[axis] = pad->values[i];
    wanted[axis] += pad->values[i] + pad->values[i + 1];
  }
  plan.require(to.dims == wanted, ACLNN_ERR_PARAM_INVALID, "out is not of the padded shape");
  return plan.done([=] {
    scatter(to, Values(static_cast<std::size_t>(to.elements()), value));
    aclTensor inner = to;
    inner.dims = a.dims;
    for (std::size_t axis = 0; axis < before.size(); ++axis)
      inner.offset += before[axis] * to.strides[axis];
    scatter(inner, gather(a));
  });
}

int aclnnCast(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnCast", w, n, e, s);
}
int aclnnInplaceCopy(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnInplaceCopy", w, n, e, s);
}
int aclnnInplaceFillScalar(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnInplaceFillScalar", w, n, e, s);
}
int aclnnEmbedding(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnEmbedding", w, n, e, s);
}
int aclnnConstantPadNd(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnConstantPadNd", w, n, e, s);
}
}

// Each is what clients declare.
static_assert(std::is_same_v<decltype(::aclnnCastGetWorkspaceSize), annulus::cann::aclnnCast>);
static_assert(std::is_same_v<decltype(::aclnnCast), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnInplaceCopyGetWorkspaceSize), annulus::cann::aclnnInplaceCopy>);
static_assert(std::is_same_v<decltype(::aclnnInplaceCopy), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnInplaceFillScalarGetWorkspaceSize),
                             annulus::cann::aclnnInplaceFillScalar>);
static_assert(std::is_same_v<decltype(::aclnnInplaceFillScalar), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnEmbeddingGetWorkspaceSize), annulus::cann::aclnnEmbedding>);
static_assert(std::is_same_v<decltype(::aclnnEmbedding), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnConstantPadNdGetWorkspaceSize),
                             annulus::cann::aclnnConstantPadNd>);
static_assert(std::is_same_v<decltype(::aclnnConstantPadNd), annulus::cann::aclnnRun>);

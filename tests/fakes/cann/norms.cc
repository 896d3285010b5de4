// libopapi.so: operators that reduce.

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "objects.h"

using namespace fake_cann;
using namespace annulus::cann;

namespace {

// Elements of `dims` reduced over `axes`: calls fold(index of the result, value).
template <class Fold>
void reduce(const Dims& dims, const Dims& axes, const Values& values, Fold fold) {
  Dims steps(dims.size(), 0);
  std::int64_t step = 1;
  for (std::size_t axis = dims.size(); axis-- > 0;)
    if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) == axes.end()) {
      steps[axis] = step;
      step *= dims[axis];
    }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t rest = static_cast<std::int64_t>(i), at = 0;
    for (std::size_t axis = dims.size(); axis-- > 0; rest /= dims[axis])
      at += rest % dims[axis] * steps[axis];
    fold(static_cast<std::size_t>(at), values[i]);
  }
}

struct Reduction {
  aclTensor from, to;
  Dims axes;
};

Reduction plan_reduction(fake_cann::Plan& plan, In self, Ints axes, bool keep, Out out) {
  Reduction r{plan.tensor(self), plan.tensor(out), {}};
  plan.require(is_live(axes), ACLNN_ERR_PARAM_NULLPTR, "dims is NULL or was destroyed");
  if (plan.failed()) return r;
  const auto rank = static_cast<std::int64_t>(r.from.dims.size());
  Dims wanted;
  for (const std::int64_t axis : axes->values) r.axes.push_back(axis < 0 ? axis + rank : axis);
  if (r.axes.empty())
    for (std::int64_t axis = 0; axis < rank; ++axis) r.axes.push_back(axis);
  for (std::int64_t axis = 0; axis < rank; ++axis) {
    const bool gone = std::find(r.axes.begin(), r.axes.end(), axis) != r.axes.end();
    if (!gone) wanted.push_back(r.from.dims[static_cast<std::size_t>(axis)]);
    if (gone && keep) wanted.push_back(1);
  }
  plan.require(r.to.dims == wanted, ACLNN_ERR_PARAM_INVALID,
               "out is not of the reduced shape " + text_of(wanted));
  return r;
}

}  // namespace

extern "C" {

int aclnnReduceSumGetWorkspaceSize(In self, Ints axes, bool keep, aclDataType type, Out out,
                                   Bytes bytes, aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnReduceSum", bytes, executor);
  const Reduction r = plan_reduction(plan, self, axes, keep, out);
  plan.require(r.to.type == type, ACLNN_ERR_PARAM_INVALID, "out is not of the wanted dtype");
  return plan.done([=] {
    Values sums(static_cast<std::size_t>(r.to.elements()), 0);
    reduce(r.from.dims, r.axes, gather(r.from), [&](std::size_t at, double x) { sums[at] += x; });
    scatter(r.to, sums);
  });
}

int aclnnAmaxGetWorkspaceSize(In self, Ints axes, bool keep, Out out, Bytes bytes,
                              aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnAmax", bytes, executor);
  const Reduction r = plan_reduction(plan, self, axes, keep, out);
  plan.require(r.to.type == r.from.type, ACLNN_ERR_PARAM_INVALID, "mixed dtypes");
  return plan.done([=] {
    Values most(static_cast<std::size_t>(r.to.elements()),
                -std::numeric_limits<double>::infinity());
    reduce(r.from.dims, r.axes, gather(r.from), [&](std::size_t at, double x) {
      if (x > most[at] || std::isnan(x)) most[at] = x;
    });
    scatter(r.to, most);
  });
}

int aclnnSoftmaxGetWorkspaceSize(In self, std::int64_t axis, Out out, Bytes bytes,
                                 aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnSoftmax", bytes, executor);
  const aclTensor a = plan.tensor(self), to = plan.tensor(out);
  plan.require(is_floating(a.type) && a.dims == to.dims, ACLNN_ERR_PARAM_INVALID,
               "out is not of self's shape, or of no floating dtype");
  plan.require(axis == -1 || axis + 1 == static_cast<std::int64_t>(a.dims.size()),
               ACLNN_ERR_PARAM_INVALID, "another axis than the last is not emulated");
  return plan.done([=] {
    Values x = gather(a);
    const auto width = static_cast<std::size_t>(a.dims.back());
    for (std::size_t row = 0; width > 0 && row < x.size(); row += width) {
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::size_t i = 0; i < width; ++i) most = std::max(most, x[row + i]);
      for (std::size_t i = 0; i < width; ++i) sum += x[row + i] = std::exp(x[row + i] - most);
      for (std::size_t i = 0; i < width; ++i) x[row + i] /= sum;
    }
    scatter(to, x);
  });
}

int aclnnLayerNormGetWorkspaceSize(In x, Ints shape, In weight, In bias, double eps, Out out,
                                   Out mean, Out rstd, Bytes bytes, aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnLayerNorm", bytes, executor);
  const aclTensor a = plan.tensor(x), to = plan.tensor(out);
  plan.require(is_live(shape), ACLNN_ERR_PARAM_NULLPTR, "normalizedShape is NULL");
  plan.require(mean == nullptr && rstd == nullptr, ACLNN_ERR_PARAM_INVALID,
               "mean and rstd are not emulated");
  for (const In given : {weight, bias}) plan.optional(given);
  if (plan.failed()) return plan.done({});
  plan.require(shape->values == Dims{a.dims.back()}, ACLNN_ERR_PARAM_INVALID,
               "normalizedShape is not the last axis");
  plan.require(a.dims == to.dims && a.type == to.type, ACLNN_ERR_PARAM_INVALID,
               "out is not like the input");
  for (const In given : {weight, bias})
    plan.require(given == nullptr || (given->dims == shape->values && given->type == a.type),
                 ACLNN_ERR_PARAM_INVALID, "weight or bias is not of the input's dtype and width");
  const aclTensor scale = weight != nullptr ? *weight : a, shift = bias != nullptr ? *bias : a;
  const bool scaled = weight != nullptr, shifted = bias != nullptr;
  return plan.done([=] {
    Values values = gather(a);
    const Values w = scaled ? gather(scale) : Values(), b = shifted ? gather(shift) : Values();
    const auto width = static_cast<std::size_t>(a.dims.back());
    for (std::size_t row = 0; row < values.size(); row += width) {
      double sum = 0, square = 0;
      for (std::size_t i = 0; i < width; ++i) sum += values[row + i];
      const double middle = sum / static_cast<double>(width);
      for (std::size_t i = 0; i < width; ++i)
        square += (values[row + i] - middle) * (values[row + i] - middle);
      const double root = std::sqrt(square / static_cast<double>(width) + eps);
      for (std::size_t i = 0; i < width; ++i)
        values[row + i] =
            (values[row + i] - middle) / root * (scaled ? w[i] : 1) + (shifted ? b[i] : 0);
    }
    scatter(to, values);
  });
}

int aclnnRmsNormGetWorkspaceSize(In x, In gamma, double eps, In out, In rstd, Bytes bytes,
                                 aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnRmsNorm", bytes, executor);
  const aclTensor a = plan.tensor(x), weight = plan.tensor(gamma), to = plan.tensor(out),
                  roots = plan.tensor(rstd);
  if (plan.failed()) return plan.done({});
  Dims wanted = a.dims;
  wanted.back() = 1;
  plan.require(weight.dims == Dims{a.dims.back()} && weight.type == a.type, ACLNN_ERR_PARAM_INVALID,
               "gamma is not of the input's dtype and width");
  plan.require(a.dims == to.dims && a.type == to.type, ACLNN_ERR_PARAM_INVALID,
               "out is not like the input");
  plan.require(roots.type == ACL_FLOAT && roots.dims == wanted, ACLNN_ERR_PARAM_INVALID,
               "rstd is not FLOAT of " + text_of(wanted));
  return plan.done([=] {
    Values values = gather(a), inverse;
    const Values w = gather(weight);
    for (std::size_t row = 0; row < values.size(); row += w.size()) {
      double square = 0;
      for (std::size_t i = 0; i < w.size(); ++i) square += values[row + i] * values[row + i];
      inverse.push_back(1 / std::sqrt(square / static_cast<double>(w.size()) + eps));
      for (std::size_t i = 0; i < w.size(); ++i) values[row + i] *= inverse.back() * w[i];
    }
    scatter(to, values);
    scatter(roots, inverse);
  });
}

int aclnnReduceSum(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnReduceSum", w, n, e, s);
}
int aclnnAmax(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnAmax", w, n, e, s);
}
int aclnnSoftmax(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSoftmax", w, n, e, s);
}
int aclnnLayerNorm(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnLayerNorm", w, n, e, s);
}
int aclnnRmsNorm(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnRmsNorm", w, n, e, s);
}
}

// Each is what clients declare.
static_assert(
    std::is_same_v<decltype(::aclnnReduceSumGetWorkspaceSize), annulus::cann::aclnnReduceSum>);
static_assert(std::is_same_v<decltype(::aclnnReduceSum), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnAmaxGetWorkspaceSize), annulus::cann::aclnnAmax>);
static_assert(std::is_same_v<decltype(::aclnnAmax), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnSoftmaxGetWorkspaceSize), annulus::cann::aclnnSoftmax>);
static_assert(std::is_same_v<decltype(::aclnnSoftmax), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnLayerNormGetWorkspaceSize), annulus::cann::aclnnLayerNorm>);
static_assert(std::is_same_v<decltype(::aclnnLayerNorm), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnRmsNormGetWorkspaceSize), annulus::cann::aclnnRmsNorm>);
static_assert(std::is_same_v<decltype(::aclnnRmsNorm), annulus::cann::aclnnRun>);

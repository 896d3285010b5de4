// libopapi.so: operators that work element by element, with broadcasting.

#include <cmath>
#include <type_traits>

#include "objects.h"

using namespace fake_cann;
using namespace annulus::cann;

namespace {

using Two = double (*)(double, double);

void require_floating(fake_cann::Plan& plan, const aclTensor& x) {
  plan.require(is_floating(x.type), ACLNN_ERR_PARAM_INVALID,
               "a tensor of another dtype than float");
}

void require_broadcast(fake_cann::Plan& plan, const aclTensor& from, const aclTensor& out) {
  plan.require(broadcasts(from.dims, out.dims), ACLNN_ERR_PARAM_INVALID,
               text_of(from.dims) + " does not broadcast to " + text_of(out.dims));
}

int plan_unary(const char* name, In self, Out out, Bytes bytes, aclOpExecutor** executor,
               const std::function<double(double)>& f) {
  fake_cann::Plan plan(name, bytes, executor);
  const aclTensor a = plan.tensor(self), to = plan.tensor(out);
  require_floating(plan, a);
  plan.require(a.dims == to.dims, ACLNN_ERR_PARAM_INVALID, "out is not of self's shape");
  return plan.done([=] {
    Values values = gather(a);
    for (double& x : values) x = f(x);
    scatter(to, values);
  });
}

int plan_binary(const char* name, In self, In other, Out out, Bytes bytes, aclOpExecutor** executor,
                const std::function<double(double, double)>& f) {
  fake_cann::Plan plan(name, bytes, executor);
  const aclTensor a = plan.tensor(self), b = plan.tensor(other), to = plan.tensor(out);
  require_floating(plan, a);
  require_floating(plan, b);
  require_broadcast(plan, a, to);
  require_broadcast(plan, b, to);
  return plan.done([=] {
    Values x = gather(a, to.dims);
    const Values y = gather(b, to.dims);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = f(x[i], y[i]);
    scatter(to, x);
  });
}

double value_of(fake_cann::Plan& plan, Scalar scalar) {
  plan.require(is_live(scalar), ACLNN_ERR_PARAM_NULLPTR, "a scalar is NULL or was destroyed");
  return plan.failed() ? 0 : scalar->value;
}

int plan_scalar(const char* name, In self, Scalar scalar, Out out, Bytes bytes,
                aclOpExecutor** executor, Two f) {
  fake_cann::Plan plan(name, bytes, executor);
  const aclTensor a = plan.tensor(self), to = plan.tensor(out);
  const double value = value_of(plan, scalar);
  require_floating(plan, a);
  plan.require(a.dims == to.dims, ACLNN_ERR_PARAM_INVALID, "out is not of self's shape");
  return plan.done([=] {
    Values values = gather(a);
    for (double& x : values) x = f(x, value);
    scatter(to, values);
  });
}

int plan_sum(const char* name, In self, In other, Scalar alpha, Out out, Bytes bytes,
             aclOpExecutor** executor, double sign) {
  const double factor = is_live(alpha) ? alpha->value * sign : 0;
  if (!is_live(alpha)) {
    fake_cann::Plan plan(name, bytes, executor);
    value_of(plan, alpha);
    return plan.done({});
  }
  return plan_binary(name, self, other, out, bytes, executor,
                     [factor](double a, double b) { return a + factor * b; });
}

}  // namespace

extern "C" {

int aclnnSiluGetWorkspaceSize(In self, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_unary("aclnnSilu", self, out, bytes, executor,
                    [](double x) { return x / (1 + std::exp(-x)); });
}
int aclnnExpGetWorkspaceSize(In self, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_unary("aclnnExp", self, out, bytes, executor, [](double x) { return std::exp(x); });
}
int aclnnLogGetWorkspaceSize(In self, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_unary("aclnnLog", self, out, bytes, executor, [](double x) { return std::log(x); });
}
int aclnnSqrtGetWorkspaceSize(In self, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_unary("aclnnSqrt", self, out, bytes, executor, [](double x) { return std::sqrt(x); });
}
int aclnnGeluV2GetWorkspaceSize(In x, std::int64_t approximate, Out out, Bytes bytes,
                                aclOpExecutor** executor) {
  const bool tanh = approximate == 1;
  return plan_unary("aclnnGeluV2", x, out, bytes, executor, [tanh](double a) {
    return tanh ? a / 2 * (1 + std::tanh(0.7978845608028654 * (a + 0.044715 * a * a * a)))
                : a / 2 * (1 + std::erf(a / 1.4142135623730951));
  });
}
int aclnnSwishGetWorkspaceSize(In self, Scalar beta, Out out, Bytes bytes,
                               aclOpExecutor** executor) {
  return plan_scalar("aclnnSwish", self, beta, out, bytes, executor,
                     [](double x, double b) { return x / (1 + std::exp(-b * x)); });
}
int aclnnMulsGetWorkspaceSize(In self, Scalar other, Out out, Bytes bytes,
                              aclOpExecutor** executor) {
  return plan_scalar("aclnnMuls", self, other, out, bytes, executor,
                     [](double a, double b) { return a * b; });
}
int aclnnGtScalarGetWorkspaceSize(In self, Scalar other, Out out, Bytes bytes,
                                  aclOpExecutor** executor) {
  return plan_scalar("aclnnGtScalar", self, other, out, bytes, executor,
                     [](double a, double b) { return a > b ? 1.0 : 0.0; });
}
int aclnnLtScalarGetWorkspaceSize(In self, Scalar other, Out out, Bytes bytes,
                                  aclOpExecutor** executor) {
  return plan_scalar("aclnnLtScalar", self, other, out, bytes, executor,
                     [](double a, double b) { return a < b ? 1.0 : 0.0; });
}
int aclnnAddsGetWorkspaceSize(In self, Scalar other, Scalar alpha, Out out, Bytes bytes,
                              aclOpExecutor** executor) {
  if (is_live(alpha) && alpha->value != 1) {
    fake_cann::Plan plan("aclnnAdds", bytes, executor);
    plan.require(false, ACLNN_ERR_PARAM_INVALID, "an alpha that is not 1 is not emulated");
    return plan.done({});
  }
  return plan_scalar("aclnnAdds", self, other, out, bytes, executor,
                     [](double a, double b) { return a + b; });
}
int aclnnMulGetWorkspaceSize(In self, In other, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_binary("aclnnMul", self, other, out, bytes, executor,
                     [](double a, double b) { return a * b; });
}
int aclnnDivGetWorkspaceSize(In self, In other, Out out, Bytes bytes, aclOpExecutor** executor) {
  return plan_binary("aclnnDiv", self, other, out, bytes, executor,
                     [](double a, double b) { return a / b; });
}
int aclnnMaximumGetWorkspaceSize(In self, In other, Out out, Bytes bytes,
                                 aclOpExecutor** executor) {
  return plan_binary("aclnnMaximum", self, other, out, bytes, executor, [](double a, double b) {
    return std::isnan(a) || std::isnan(b) ? std::nan("") : a > b ? a : b;
  });
}
int aclnnAddGetWorkspaceSize(In self, In other, Scalar alpha, Out out, Bytes bytes,
                             aclOpExecutor** executor) {
  return plan_sum("aclnnAdd", self, other, alpha, out, bytes, executor, 1);
}
int aclnnSubGetWorkspaceSize(In self, In other, Scalar alpha, Out out, Bytes bytes,
                             aclOpExecutor** executor) {
  return plan_sum("aclnnSub", self, other, alpha, out, bytes, executor, -1);
}
int aclnnAddcmulGetWorkspaceSize(In self, In first, In second, Scalar scalar, Out out, Bytes bytes,
                                 aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnAddcmul", bytes, executor);
  const aclTensor a = plan.tensor(self), b = plan.tensor(first), c = plan.tensor(second),
                  to = plan.tensor(out);
  const double value = value_of(plan, scalar);
  for (const aclTensor* x : {&a, &b, &c}) {
    require_floating(plan, *x);
    require_broadcast(plan, *x, to);
    plan.require(x->type == a.type, ACLNN_ERR_PARAM_INVALID, "mixed dtypes");
  }
  return plan.done([=] {
    Values x = gather(a, to.dims);
    const Values y = gather(b, to.dims), z = gather(c, to.dims);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += value * y[i] * z[i];
    scatter(to, x);
  });
}
int aclnnSWhereGetWorkspaceSize(In condition, In self, In other, Out out, Bytes bytes,
                                aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnSWhere", bytes, executor);
  const aclTensor chosen = plan.tensor(condition), a = plan.tensor(self), b = plan.tensor(other),
                  to = plan.tensor(out);
  plan.require(plan.failed() || chosen.type == ACL_BOOL, ACLNN_ERR_PARAM_INVALID,
               "condition is not BOOL");
  for (const aclTensor* x : {&chosen, &a, &b}) require_broadcast(plan, *x, to);
  plan.require(a.type == b.type, ACLNN_ERR_PARAM_INVALID, "mixed dtypes");
  return plan.done([=] {
    const Values yes = gather(chosen, to.dims), y = gather(b, to.dims);
    Values x = gather(a, to.dims);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = yes[i] != 0 ? x[i] : y[i];
    scatter(to, x);
  });
}

int aclnnSilu(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSilu", w, n, e, s);
}
int aclnnExp(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnExp", w, n, e, s);
}
int aclnnLog(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnLog", w, n, e, s);
}
int aclnnSqrt(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSqrt", w, n, e, s);
}
int aclnnGeluV2(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnGeluV2", w, n, e, s);
}
int aclnnSwish(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSwish", w, n, e, s);
}
int aclnnMuls(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnMuls", w, n, e, s);
}
int aclnnGtScalar(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnGtScalar", w, n, e, s);
}
int aclnnLtScalar(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnLtScalar", w, n, e, s);
}
int aclnnAdds(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnAdds", w, n, e, s);
}
int aclnnMul(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnMul", w, n, e, s);
}
int aclnnDiv(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnDiv", w, n, e, s);
}
int aclnnMaximum(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnMaximum", w, n, e, s);
}
int aclnnAdd(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnAdd", w, n, e, s);
}
int aclnnSub(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSub", w, n, e, s);
}
int aclnnAddcmul(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnAddcmul", w, n, e, s);
}
int aclnnSWhere(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnSWhere", w, n, e, s);
}
}

// Each is what clients declare.
static_assert(std::is_same_v<decltype(::aclnnSiluGetWorkspaceSize), annulus::cann::aclnnSilu>);
static_assert(std::is_same_v<decltype(::aclnnSilu), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnExpGetWorkspaceSize), annulus::cann::aclnnExp>);
static_assert(std::is_same_v<decltype(::aclnnExp), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnLogGetWorkspaceSize), annulus::cann::aclnnLog>);
static_assert(std::is_same_v<decltype(::aclnnLog), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnSqrtGetWorkspaceSize), annulus::cann::aclnnSqrt>);
static_assert(std::is_same_v<decltype(::aclnnSqrt), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnMulGetWorkspaceSize), annulus::cann::aclnnMul>);
static_assert(std::is_same_v<decltype(::aclnnMul), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnDivGetWorkspaceSize), annulus::cann::aclnnDiv>);
static_assert(std::is_same_v<decltype(::aclnnDiv), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnMaximumGetWorkspaceSize), annulus::cann::aclnnMaximum>);
static_assert(std::is_same_v<decltype(::aclnnMaximum), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnMulsGetWorkspaceSize), annulus::cann::aclnnMuls>);
static_assert(std::is_same_v<decltype(::aclnnMuls), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnGtScalarGetWorkspaceSize), annulus::cann::aclnnGtScalar>);
static_assert(std::is_same_v<decltype(::aclnnGtScalar), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnLtScalarGetWorkspaceSize), annulus::cann::aclnnLtScalar>);
static_assert(std::is_same_v<decltype(::aclnnLtScalar), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnSwishGetWorkspaceSize), annulus::cann::aclnnSwish>);
static_assert(std::is_same_v<decltype(::aclnnSwish), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnAddGetWorkspaceSize), annulus::cann::aclnnAdd>);
static_assert(std::is_same_v<decltype(::aclnnAdd), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnSubGetWorkspaceSize), annulus::cann::aclnnSub>);
static_assert(std::is_same_v<decltype(::aclnnSub), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnAddsGetWorkspaceSize), annulus::cann::aclnnAdds>);
static_assert(std::is_same_v<decltype(::aclnnAdds), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnAddcmulGetWorkspaceSize), annulus::cann::aclnnAddcmul>);
static_assert(std::is_same_v<decltype(::aclnnAddcmul), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnGeluV2GetWorkspaceSize), annulus::cann::aclnnGeluV2>);
static_assert(std::is_same_v<decltype(::aclnnGeluV2), annulus::cann::aclnnRun>);
static_assert(std::is_same_v<decltype(::aclnnSWhereGetWorkspaceSize), annulus::cann::aclnnSWhere>);
static_assert(std::is_same_v<decltype(::aclnnSWhere), annulus::cann::aclnnRun>);

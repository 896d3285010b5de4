#include "comparison.h"

#include <cmath>
#include <sstream>

namespace annulus::goldens {
namespace {

/// "[1, 0, 3]" of element `index` of a contiguous tensor.
std::string place_of(std::int64_t index, const Shape& shape) {
  std::vector<std::int64_t> place(static_cast<std::size_t>(shape.rank()));
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    place[static_cast<std::size_t>(axis)] = index % shape[axis];
    index /= shape[axis];
  }
  std::ostringstream text;
  text << '[';
  for (std::size_t i = 0; i < place.size(); ++i) text << (i == 0 ? "" : ", ") << place[i];
  text << ']';
  return text.str();
}

/// 0 for equal values (infinities and NaN included), infinity where one alone is not finite.
double difference(double got, double expected) noexcept {
  if (got == expected || (std::isnan(got) && std::isnan(expected))) return 0;
  if (!std::isfinite(got) || !std::isfinite(expected)) return INFINITY;
  return std::abs(got - expected);
}

/// As double: exact for what the goldens hold, but the difference of integers is taken before.
template <class T>
double distance(T got, T expected) noexcept {
  if constexpr (std::is_same_v<T, double>)
    return difference(got, expected);
  else
    return got == expected ? 0.0
                           : std::abs(static_cast<double>(got) - static_cast<double>(expected));
}

template <class T>
void compare_elements(const Tensor& got, const Tensor& expected, TensorResult& result) {
  const T* a = got.data<T>();
  const T* b = expected.data<T>();
  const std::int64_t count = got.elements();
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double error = distance(a[i], b[i]);
    sum += error;
    squares += error * error;
    result.max_error = std::max(result.max_error, error);
    if (!(error <= result.bound.max) && result.first_bad.empty()) {
      std::ostringstream text;
      text.precision(9);
      text << place_of(i, got.shape()) << ": got " << a[i] << ", expected " << b[i];
      result.first_bad = text.str();
    }
  }
  if (count == 0) return;
  result.mean_error = sum / static_cast<double>(count);
  result.rms_error = std::sqrt(squares / static_cast<double>(count));
  if (result.bound.rms >= 0 && result.rms_error > result.bound.rms && result.first_bad.empty())
    result.first_bad = text_of("root mean square ", result.rms_error, " over ", result.bound.rms);
}

}  // namespace

TensorResult compare(std::string name, const Tensor& got, const Tensor& expected, Bound bound) {
  TensorResult result{
      .name = std::move(name), .bound = bound, .first_bad = {}, .shape = got.shape()};
  if (!(got.shape() == expected.shape()))
    result.first_bad = text_of("shape ", got.shape(), ", expected ", expected.shape());
  else if (got.dtype() != expected.dtype())
    result.first_bad =
        text_of("dtype ", name_of(got.dtype()), ", expected ", name_of(expected.dtype()));
  else if (got.dtype() == DType::F64)
    compare_elements<double>(got, expected, result);
  else
    compare_elements<std::int64_t>(got, expected, result);
  result.ok = result.first_bad.empty();
  return result;
}

Comparison::Comparison(const GoldenCase& golden, Workbench& bench)
    : golden_(golden), bench_(bench) {}

void Comparison::add(std::string_view name, const Tensor& got) {
  if (!golden_.has_output(name)) {
    add_check(name, false, "no such output is stored");
    return;
  }
  add(name, got, golden_.output(name, bench_.host()), bound_of(name));
}

void Comparison::add(std::string_view name, std::span<const float> got, const Shape& shape) {
  add(name, bench_.host_tensor(got, shape));
}

void Comparison::add(std::string_view name, std::span<const double> got, const Shape& shape) {
  add(name, bench_.host_tensor(got, shape));
}

void Comparison::add(std::string_view name, std::span<const std::int64_t> got, const Shape& shape) {
  add(name, bench_.host_tensor(got, shape));
}

void Comparison::add(std::string_view name, const Tensor& got, const Tensor& expected,
                     Bound bound) {
  seen_.emplace(name);
  results_.push_back(
      compare(label_ + std::string(name), bench_.widened(got), bench_.widened(expected), bound));
}

void Comparison::add_check(std::string_view name, bool ok, std::string_view found) {
  seen_.emplace(name);
  results_.push_back({.name = label_ + std::string(name),
                      .ok = ok,
                      .bound = {},
                      .first_bad = ok ? std::string() : std::string(found),
                      .shape = {}});
}

void Comparison::leave_out(std::string_view name, std::string_view why) {
  seen_.emplace(name);
  results_.push_back({.name = text_of(label_, name, " (left out: ", why, ")"),
                      .bound = {},
                      .first_bad = {},
                      .shape = {}});
}

void Comparison::variant(std::string_view label) {
  if (!label_.empty()) add_missing();
  label_ = std::string(label) + ": ";
  seen_.clear();
}

Bound Comparison::bound_of(std::string_view name) const {
  const Json output = golden_.json()["outputs"][name];
  const DType dtype = bench_.options().dtype;
  const bool half = dtype == DType::BF16 || dtype == DType::F16;
  if (name == "image_u8")  // rounding to bytes adds one
    return {.max = half ? 255 * bound_of("image").max + 1 : 1};
  const double tolerance = output.get<double>("tol_abs");
  if (!half || !output.has("std")) return {.max = tolerance};
  const double deviation = output.get<double>("std");
  const std::string& kind = golden_.kind();
  Bound torch = {0.025, 0.006};
  if (kind == "vae" || name == "image") torch = {0.4, 0.03};
  if (kind == "text_encoder" || kind == "vision_language" || name.ends_with("prompt_embeds"))
    torch = {0.076, 0.0137};
  return {.max = std::max(tolerance, 2 * torch.max * deviation),
          .rms = std::max(tolerance, 2 * torch.rms * deviation)};
}

void Comparison::add_missing() {
  for (const std::string& name : golden_.output_names())
    if (seen_.find(name) == seen_.end()) add_check(name, false, "was not made");
}

const std::vector<TensorResult>& Comparison::finish() {
  if (!finished_) add_missing();
  finished_ = true;
  return results_;
}

}  // namespace annulus::goldens

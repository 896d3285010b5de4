#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "golden_case.h"
#include "workbench.h"

namespace annulus::goldens {

/// How far a tensor may be from what is expected. Infinities, NaN and integers must be equal.
struct Bound {
  double max = 0;   // every element
  double rms = -1;  // root mean square of the differences; negative: not asked
};

/// One tensor, compared.
struct TensorResult {
  std::string name;
  bool ok = true;
  double max_error = 0, mean_error = 0, rms_error = 0;
  Bound bound;
  std::string first_bad;  // "[1, 0, 3]: got 0.5, expected 0.25", or why there was no comparison
  Shape shape;
};

/// Collects the tensors that a kind makes for a case and compares each with the stored one.
///
///   Comparison comparison(golden, bench);
///   comparison.add("block0.image", tensor);   // bound: the case's tol_abs for f32, see bound_of()
///   comparison.variant("flash avx2");         // the same outputs again, made another way
///
/// An output that case.json lists and no add() brought makes the case fail, unless it was left out
/// with a reason.
class Comparison {
 public:
  Comparison(const GoldenCase& golden, Workbench& bench);

  /// Compares `got` with output `name` of the case. Another shape fails; dtypes may differ.
  void add(std::string_view name, const Tensor& got);
  void add(std::string_view name, std::span<const float> got, const Shape& shape);
  void add(std::string_view name, std::span<const double> got, const Shape& shape);
  void add(std::string_view name, std::span<const std::int64_t> got, const Shape& shape);

  /// Compares with something else than a stored output.
  void add(std::string_view name, const Tensor& got, const Tensor& expected, Bound bound);

  /// Records a check that is no comparison of tensors (ids, strings).
  void add_check(std::string_view name, bool ok, std::string_view found);

  /// Output `name` is not made; `why` says why that is no failure.
  void leave_out(std::string_view name, std::string_view why);

  /// From here on the outputs are made again, in another way that `label` names.
  void variant(std::string_view label);

  /// The bound of an output: tol_abs of the case in f32. With --dtype bf16 or f16, twice what
  /// PyTorch itself is off in bf16, relative to the tensor's standard deviation (docs/goldens.md).
  Bound bound_of(std::string_view name) const;

  /// To be asked at the end: checks that nothing is missing.
  const std::vector<TensorResult>& finish();

 private:
  void add_missing();

  const GoldenCase& golden_;
  Workbench& bench_;
  std::string label_;
  bool finished_ = false;
  std::set<std::string, std::less<>> seen_;  // outputs of the present variant
  std::vector<TensorResult> results_;
};

/// `got` and `expected` as Workbench::widened gives them.
TensorResult compare(std::string name, const Tensor& got, const Tensor& expected, Bound bound);

}  // namespace annulus::goldens

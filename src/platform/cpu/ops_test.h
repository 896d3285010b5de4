// What the tests of the cpu platform's operations share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>
#include <random>
#include <string>

#include "platform/cpu/cpu_device.h"
#include "platform/cpu/ops.h"
#include "platform/reference/ops.h"
#include "tensor/copy.h"

namespace annulus::cpu {

/// One device per instruction set that this CPU has, of one thread (threads_test.cc has more).
/// oneDNN uses its own instruction set.
class OpsTest : public ::testing::TestWithParam<Isa> {
 protected:
  Tensor random(const Shape& shape, DType dtype = DType::F32, double gain = 1) {
    Tensor x = Tensor::empty(shape, DType::F64, device);
    std::normal_distribution<double> normal(0, gain);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.data<double>()[i] = normal(engine);
    return cast(*stream, x, dtype);
  }

  /// A view of random values whose outer axes do not lie behind one another.
  Tensor random_strided(const Shape& shape, DType dtype = DType::F32, double gain = 1) {
    Shape wider = shape;
    for (int axis = 0; axis < shape.rank(); ++axis) wider = wider.with(axis, shape[axis] + 2);
    Tensor x = random(wider, dtype, gain);
    for (int axis = 0; axis < shape.rank(); ++axis) x = x.slice(axis, 1, shape[axis] + 1);
    return x;
  }

  using Run = std::function<void(const OpTable&, Tensor& out)>;

  /// Runs an operation into `out` here, and by plain loops in f32 and in double: the largest error
  /// may be 2 x that of the plain f32 version, plus 1e-6. `plain` runs where the f32 version needs
  /// other operands. What `out` holds before each run is the same.
  void expect_close(const std::string& what, Tensor out, const Run& run,
                    const std::optional<Run>& plain = std::nullopt) {
    Tensor exact = Tensor::empty(out.shape(), DType::F64, device);
    Tensor simple = Tensor::empty(out.shape(), out.dtype(), device);
    copy(*stream, out, exact);
    copy(*stream, out, simple);
    run(reference::ops(), exact);
    plain.value_or(run)(reference::plain_f32_ops(), simple);
    run(ops(), out);
    const Tensor got = clone(*stream, cast(*stream, out, DType::F64)),
                 rough = cast(*stream, simple, DType::F64);
    const double *const g = got.data<double>(), *const e = exact.data<double>(),
                        *const r = rough.data<double>();
    double error = 0, plain_error = 0, mean = 0;
    std::int64_t worst = -1;
    for (std::int64_t i = 0; i < out.elements(); ++i) {
      if (std::isnan(e[i]) && std::isnan(g[i])) continue;
      if (std::isinf(e[i]) && e[i] == g[i]) continue;
      plain_error = std::max(plain_error, std::abs(r[i] - e[i]));
      mean += std::abs(g[i] - e[i]) / static_cast<double>(out.elements());
      if (!(std::abs(g[i] - e[i]) <= error)) {
        error = std::abs(g[i] - e[i]);
        worst = i;
      }
    }
    EXPECT_LE(error, 2 * plain_error + 1e-6)
        << what << " on " << name_of(device.isa()) << ": mean error " << mean << ", plain f32's "
        << plain_error << ", worst at " << worst << ": " << g[worst] << ", wanted " << e[worst]
        << ", shape " << out.shape() << " " << name_of(out.dtype());
  }

  CpuDevice device{1, GetParam()};
  std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace{device};
  std::mt19937 engine{7};
};

inline std::string isa_name(const ::testing::TestParamInfo<Isa>& info) {
  return std::string(name_of(info.param));
}

inline constexpr DType kDTypes[] = {DType::F32, DType::BF16, DType::F16};
inline constexpr Activation kActivations[] = {Activation::None,      Activation::Silu,
                                              Activation::GeluTanh,  Activation::GeluErf,
                                              Activation::QuickGelu, Activation::Relu};

}  // namespace annulus::cpu

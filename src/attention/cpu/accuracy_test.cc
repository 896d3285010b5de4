#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "attention/cpu/flash.h"
#include "attention/reference.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

struct Shape4 {
  std::int64_t seq_q, seq_kv, heads, head_dim;
};

// One entry of seeded normal q, k and v in `dtype`; logits have about the deviation `spread`.
class Inputs {
 public:
  Inputs(HostDevice& device, Shape4 shape, DType dtype, float spread) : shape(shape) {
    q = make(device, shape.seq_q, dtype, spread);
    k = make(device, shape.seq_kv, dtype, 1);
    v = make(device, shape.seq_kv, dtype, 1);
  }

  Shape4 shape;
  Tensor q, k, v;

 private:
  Tensor make(HostDevice& device, std::int64_t seq, DType dtype, float gain) {
    Tensor x = Tensor::empty({1, seq, shape.heads, shape.head_dim}, dtype, device);
    with_floating(dtype, [&](auto type) {
      using T = decltype(type);
      T* const to = x.data<T>();
      for (std::int64_t n = 0; n < x.elements(); ++n) to[n] = convert<T>(normal_(random_) * gain);
    });
    return x;
  }

  std::mt19937 random_{5};
  std::normal_distribution<float> normal_;
};

std::vector<float> values_of(const Tensor& x) {
  std::vector<float> values(static_cast<std::size_t>(x.elements()));
  with_floating(x.dtype(), [&](auto type) {
    using T = decltype(type);
    const T* const from = x.data<T>();
    for (std::size_t n = 0; n < values.size(); ++n) values[n] = convert<float>(from[n]);
  });
  return values;
}

// Attention as one writes it down, in f32, weights rounded to the inputs' type before they meet the
// values and results after, as PyTorch does.
std::vector<float> plain_attention(const Inputs& in) {
  const auto [seq_q, seq_kv, heads, head_dim] = in.shape;
  const std::vector<float> q = values_of(in.q), k = values_of(in.k), v = values_of(in.v);
  const bool bf16 = in.q.dtype() == DType::BF16;
  const auto rounded = [bf16](float x) { return bf16 ? to_float(to_bf16(x)) : x; };
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  std::vector<float> out(q.size()), weights(static_cast<std::size_t>(seq_kv));
  for (std::int64_t i = 0; i < seq_q; ++i)
    for (std::int64_t h = 0; h < heads; ++h) {
      const auto row = [&](std::int64_t token) { return (token * heads + h) * head_dim; };
      float most = -HUGE_VALF, sum = 0;
      for (std::int64_t j = 0; j < seq_kv; ++j) {
        float score = 0;
        for (std::int64_t d = 0; d < head_dim; ++d) score += q[row(i) + d] * k[row(j) + d];
        weights[j] = score * scale;
        most = std::max(most, weights[j]);
      }
      for (float& weight : weights) sum += weight = std::exp(weight - most);
      for (std::int64_t j = 0; j < seq_kv; ++j)
        for (std::int64_t d = 0; d < head_dim; ++d)
          out[row(i) + d] += rounded(weights[j]) * v[row(j) + d];
      for (std::int64_t d = 0; d < head_dim; ++d) out[row(i) + d] = rounded(out[row(i) + d] / sum);
    }
  return out;
}

std::vector<float> run(HostDevice& device, const AttentionBackend& backend, const Inputs& in,
                       DType out_dtype) {
  const auto stream = device.make_stream();
  Workspace workspace(device);
  Tensor out = Tensor::empty(in.q.shape(), out_dtype, device);
  backend.run(*stream, workspace, {.q = in.q, .k = in.k, .v = in.v}, out, nullptr);
  return values_of(out);
}

struct Error2 {
  double largest = 0, rms = 0;
};

Error2 error_of(const std::vector<float>& got, const std::vector<float>& expected) {
  Error2 error;
  for (std::size_t n = 0; n < got.size(); ++n) {
    const double e = std::fabs(static_cast<double>(got[n]) - static_cast<double>(expected[n]));
    error.largest = std::max(error.largest, e);
    error.rms += e * e;
  }
  error.rms = std::sqrt(error.rms / static_cast<double>(got.size()));
  return error;
}

void expect_accurate(DType dtype, float spread) {
  HostDevice device(1);
  for (const Shape4 shape : {Shape4{77, 300, 2, 64}, Shape4{3, 700, 3, 128}}) {
    const Inputs in(device, shape, dtype, spread);
    const std::vector<float> expected = run(device, reference_attention(), in, DType::F32);
    const Error2 plain = error_of(plain_attention(in), expected);
    for (const Isa isa : usable_isas()) {
      const Error2 error = error_of(run(device, flash_attention(isa), in, dtype), expected);
      EXPECT_LE(error.rms, 2 * plain.rms + 1e-6) << name_of(isa) << ", spread " << spread;
      EXPECT_LE(error.largest, 2 * plain.largest + 1e-6) << name_of(isa) << ", spread " << spread;
    }
  }
}

TEST(FlashAccuracy, TheErrorIsAtMostTwiceThatOfThePlainVersion) {
  for (const DType dtype : {DType::F32, DType::BF16}) expect_accurate(dtype, 1);
}

TEST(FlashAccuracy, TheErrorIsAtMostTwiceThatOfThePlainVersionForLogitsOf80) {
  for (const DType dtype : {DType::F32, DType::BF16}) expect_accurate(dtype, 40);  // two deviations
}

}  // namespace
}  // namespace annulus

#include <array>
#include <cmath>
#include <limits>

#include "platform/ascend/activation.h"
#include "platform/ascend/ops.h"

namespace annulus::ascend {

namespace {

Tensor ones(const Aclnn& aclnn, std::int64_t count) {
  Tensor made = aclnn.empty({count}, DType::F32);
  aclnn.fill(made, 1);
  return made;
}

// x / sqrt(mean(x^2) + eps) * weight over the last axis of a contiguous f32 tensor.
Tensor rms_normed(const Aclnn& aclnn, const Tensor& x, const Tensor* weight, float eps) {
  const std::int64_t channels = x.shape()[-1];
  const Tensor gamma =
      weight != nullptr ? aclnn.contiguous(aclnn.in(*weight, DType::F32)) : ones(aclnn, channels);
  const Shape rows{x.elements() / channels, channels};
  Tensor y = aclnn.empty(rows, DType::F32);
  const Tensor rstd = aclnn.empty(rows.with(1, 1), DType::F32);  // must be given, is not used
  aclnn.run(aclnn.api().rms_norm, aclnn.tensor(x.reshape(rows)).get(), aclnn.tensor(gamma).get(),
            static_cast<double>(eps), aclnn.tensor(y).get(), aclnn.tensor(rstd).get());
  return y.reshape(x.shape());
}

// x / max(|x|, eps) * sqrt(channels) * weight
Tensor l2_normed(const Aclnn& aclnn, const Tensor& x, const Tensor* weight, float eps) {
  Tensor y = aclnn.empty(x.shape(), DType::F32);
  aclnn.mul(x, x, y);
  Tensor norm = aclnn.sum_last(y), least = aclnn.empty({1}, DType::F32);
  aclnn.run(aclnn.api().sqrt, aclnn.tensor(norm).get(), Aclnn::mutable_of(aclnn.tensor(norm)));
  aclnn.fill(least, static_cast<double>(eps));
  aclnn.maximum(norm, least, norm);
  aclnn.div(x, norm, y);
  aclnn.scale(y, std::sqrt(static_cast<float>(x.shape()[-1])), y);
  if (weight != nullptr) aclnn.mul(y, aclnn.in(*weight, DType::F32), y);
  return y;
}

}  // namespace

void layer_norm(Stream& stream, Workspace&, const LayerNormArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor x = aclnn.contiguous(aclnn.in(args.x, DType::F32));
  const auto given = [&](const Tensor* part) {
    return part != nullptr ? aclnn.contiguous(aclnn.in(*part, DType::F32)) : Tensor();
  };
  const Tensor weight = given(args.weight), bias = given(args.bias);
  const TensorHandle none(nullptr, aclnn.api().aclDestroyTensor);
  const TensorHandle weight_given = weight.defined() ? aclnn.tensor(weight)
                                                     : TensorHandle(nullptr, none.get_deleter()),
                     bias_given = bias.defined() ? aclnn.tensor(bias)
                                                 : TensorHandle(nullptr, none.get_deleter());
  Tensor y = aclnn.empty(x.shape(), DType::F32);
  const std::array<std::int64_t, 1> last = {x.shape()[-1]};
  aclnn.run(aclnn.api().layer_norm, aclnn.tensor(x).get(), aclnn.ints(last).get(),
            weight_given.get(), bias_given.get(), static_cast<double>(args.eps),
            Aclnn::mutable_of(aclnn.tensor(y)), nullptr, nullptr);
  if (args.scale != nullptr) {
    Tensor factor = aclnn.empty(args.scale->shape(), DType::F32);
    aclnn.shift(aclnn.in(*args.scale, DType::F32), 1.0f, factor);
    aclnn.mul(y, factor, y);
  }
  if (args.shift != nullptr) aclnn.add(y, aclnn.in(*args.shift, DType::F32), 1.0f, y);
  aclnn.copy(y, args.out);
}

void rms_norm(Stream& stream, Workspace&, const RmsNormArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor x = aclnn.contiguous(aclnn.in(args.x, DType::F32));
  Tensor y = args.l2 ? l2_normed(aclnn, x, args.weight, args.eps)
                     : rms_normed(aclnn, x, args.weight, args.eps);
  apply(aclnn, args.activation, y, y);
  aclnn.copy(y, args.out);
}

// Composed, as aclnnRotaryPositionEmbedding wants cosines for both halves and whole heads.
void rope(Stream& stream, Workspace&, const RopeArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Shape& shape = args.x.shape();
  const std::int64_t head_dim = shape[3], pairs = args.freqs.shape()[2];
  Tensor x = aclnn.contiguous(aclnn.in(args.x, DType::F32));
  if (args.norm_weight != nullptr) x = rms_normed(aclnn, x, args.norm_weight, args.eps);
  // The two elements of each pair: [batch, seq, heads, pairs].
  const auto halves = [&](const Tensor& of) {
    const Tensor turned = of.slice(3, 0, 2 * pairs);
    if (args.layout == RopeLayout::Halves)
      return std::array{turned.slice(3, 0, pairs), turned.slice(3, pairs, 2 * pairs)};
    const Tensor paired = turned.reshape({shape[0], shape[1], shape[2], pairs, 2});
    return std::array{paired.select(4, 0), paired.select(4, 1)};
  };
  const Tensor freqs = aclnn.in(args.freqs, DType::F32);
  const Tensor cos = freqs.select(3, 0).unsqueeze(2), sin = freqs.select(3, 1).unsqueeze(2);
  Tensor y = aclnn.empty(shape, DType::F32);
  const auto [a, b] = halves(x);
  auto [to_a, to_b] = halves(y);
  Tensor other = aclnn.empty(a.shape(), DType::F32);
  aclnn.mul(a, cos, to_a);
  aclnn.mul(b, sin, other);
  aclnn.sub(to_a, other, to_a);
  aclnn.mul(b, cos, to_b);
  aclnn.mul(a, sin, other);
  aclnn.add(to_b, other, 1.0f, to_b);
  if (2 * pairs < head_dim) {
    Tensor rest = y.slice(3, 2 * pairs, head_dim);
    aclnn.copy(x.slice(3, 2 * pairs, head_dim), rest);
  }
  aclnn.copy(y, args.out);
}

namespace {

// x + mask, -inf where the mask is, whatever x is there.
Tensor masked_scores(const Aclnn& aclnn, const SoftmaxArgs& args) {
  const Tensor x = aclnn.in(args.x, DType::F32);
  if (args.mask == nullptr) return x;
  const Tensor mask = aclnn.in(*args.mask, DType::F32);
  Tensor sum = aclnn.empty(x.shape(), DType::F32);
  aclnn.add(x, mask, 1.0f, sum);
  // A mask of -inf alone hides; one of -3.3e38 is a number that some models add.
  aclnn.where(aclnn.less(aclnn.contiguous(mask), -std::numeric_limits<float>::max()), mask, sum,
              sum);
  return sum;
}

}  // namespace

void softmax(Stream& stream, Workspace&, const SoftmaxArgs& args) {
  if (args.x.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor scores = masked_scores(aclnn, args);
  Tensor most = aclnn.max_last(scores), zero = aclnn.empty({1}, DType::F32),
         one = aclnn.empty({1}, DType::F32);
  aclnn.fill(zero, 0);
  aclnn.fill(one, 1);
  // A row of -inf: subtract 0, so that its exponents are 0 and not NaN.
  const Tensor empty = aclnn.less(most, -std::numeric_limits<float>::max());
  aclnn.where(empty, zero, most, most);
  Tensor weights = aclnn.empty(scores.shape(), DType::F32);
  aclnn.sub(scores, most, weights);
  aclnn.run(aclnn.api().exp, aclnn.tensor(weights).get(), Aclnn::mutable_of(aclnn.tensor(weights)));
  Tensor sum = aclnn.sum_last(weights);
  if (args.lse != nullptr) {
    Tensor lse = aclnn.empty(sum.shape(), DType::F32);
    aclnn.run(aclnn.api().log, aclnn.tensor(sum).get(), Aclnn::mutable_of(aclnn.tensor(lse)));
    aclnn.add(lse, most, 1.0f, lse);
    aclnn.copy(lse.reshape(args.lse->shape()), *args.lse);
  }
  aclnn.where(empty, one, sum, sum);
  aclnn.div(weights, sum, weights);
  aclnn.copy(weights, args.out);
}

void aclnn_softmax(Stream& stream, Workspace&, const SoftmaxArgs& args) {
  if (args.x.elements() == 0) return;
  constexpr std::int64_t kLast = -1;
  const Aclnn aclnn(stream);
  const Tensor scores = aclnn.contiguous(masked_scores(aclnn, args));
  Tensor weights = aclnn.empty(scores.shape(), DType::F32);
  aclnn.run(aclnn.api().softmax, aclnn.tensor(scores).get(), kLast,
            Aclnn::mutable_of(aclnn.tensor(weights)));
  if (args.mask != nullptr) {  // a row of -inf gives NaN there, and 0 here
    Tensor zero = aclnn.empty({1}, DType::F32);
    aclnn.fill(zero, 0);
    const Tensor empty = aclnn.less(aclnn.max_last(scores), -std::numeric_limits<float>::max());
    aclnn.where(empty, zero, weights, weights);
  }
  aclnn.copy(weights, args.out);
}

}  // namespace annulus::ascend

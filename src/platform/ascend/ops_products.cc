#include <algorithm>
#include <array>

#include "platform/ascend/activation.h"
#include "platform/ascend/ops.h"

namespace annulus::ascend {

namespace {

constexpr std::int64_t kTileBytes = std::int64_t{16} << 20;  // of weights converted at a time

// Usable as a factor of a product: contiguous, or the transposed view of such a matrix.
bool is_plain(const Tensor& x) {
  if (x.is_contiguous()) return true;
  const Tensor turned = x.shape().rank() == 2 ? x.permute({1, 0}) : x.permute({0, 2, 1});
  return turned.is_contiguous();
}

Tensor plain(const Aclnn& aclnn, const Tensor& x) {
  return is_plain(x) ? x : aclnn.contiguous(x);
}

void multiply(const Aclnn& aclnn, const Tensor& a, const Tensor& b, Tensor& out) {
  aclnn.run(aclnn.api().matmul, aclnn.tensor(a).get(), aclnn.tensor(b).get(),
            Aclnn::mutable_of(aclnn.tensor(out)), cann::KEEP_DTYPE);
}

// y [rows, out] = x [rows, in] weight^T; weights of another dtype go tile by tile.
void multiply_weight(const Aclnn& aclnn, const Tensor& x, const Tensor& weight, Tensor& y) {
  const std::int64_t in = weight.shape()[1], out = weight.shape()[0];
  if (weight.dtype() == x.dtype())
    return multiply(aclnn, x, plain(aclnn, weight).permute({1, 0}), y);
  const std::int64_t row =
      std::max<std::int64_t>(in * static_cast<std::int64_t>(size_of(x.dtype())), 1);
  const std::int64_t tile = std::clamp<std::int64_t>(kTileBytes / row, 1, out);
  for (std::int64_t first = 0; first < out; first += tile) {
    const std::int64_t last = std::min(first + tile, out);
    Tensor part = y.slice(1, first, last);
    multiply(aclnn, x, aclnn.in(weight.slice(0, first, last), x.dtype()).permute({1, 0}), part);
  }
}

}  // namespace

void linear(Stream& stream, Workspace&, const LinearArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  const DType dtype = args.x.dtype();
  const std::int64_t in = args.weight.shape()[1], out = args.weight.shape()[0],
                     rows = args.out.elements() / out;
  const Tensor x = aclnn.contiguous(args.x).reshape({rows, in});
  Tensor y = aclnn.empty({rows, out}, dtype);
  multiply_weight(aclnn, x, args.weight, y);
  // What follows the product is rounded once, into out.
  if (args.bias != nullptr || args.activation != Activation::None) {
    Tensor wide = aclnn.empty(y.shape(), DType::F32);
    if (args.bias != nullptr)
      aclnn.add(aclnn.in(y, DType::F32), aclnn.in(*args.bias, DType::F32), 1.0f, wide);
    else
      aclnn.copy(y, wide);
    apply(aclnn, args.activation, wide, wide);
    y = wide;
  }
  aclnn.copy(y.reshape(args.out.shape()), args.out);
}

void matmul(Stream& stream, Workspace&, const MatmulArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  if (args.a.shape()[2] == 0) {
    if (!args.accumulate) aclnn.fill(args.out, 0);
    return;
  }
  // bf16 and f16 as they are only where the result is to be rounded so too.
  const DType dtype =
      args.a.dtype() == args.b.dtype() && args.a.dtype() == args.out.dtype() && !args.accumulate
          ? args.a.dtype()
          : DType::F32;
  Tensor product = aclnn.empty(args.out.shape(), dtype);
  const Tensor a = plain(aclnn, aclnn.in(args.a, dtype)), b = plain(aclnn, aclnn.in(args.b, dtype));
  aclnn.run(aclnn.api().batch_matmul, aclnn.tensor(a).get(), aclnn.tensor(b).get(),
            Aclnn::mutable_of(aclnn.tensor(product)), cann::KEEP_DTYPE);
  if (args.accumulate) {
    aclnn.add(aclnn.in(args.out, DType::F32), product, args.alpha, product);
  } else if (args.alpha != 1.0f) {
    aclnn.scale(product, args.alpha, product);
  }
  aclnn.copy(product, args.out);
}

void embedding(Stream& stream, Workspace&, const EmbeddingArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  const Tensor table = aclnn.contiguous(args.table), ids = aclnn.contiguous(args.ids);
  const Tensor rows = aclnn.empty(args.out.shape(), table.dtype());
  aclnn.run(aclnn.api().embedding, aclnn.tensor(table).get(), aclnn.tensor(ids).get(),
            aclnn.tensor(rows).get());
  aclnn.copy(rows, args.out);
}

namespace {

// Channels first, as the operator wants it: [batch, channels, (frames,) height, width].
struct Planes {
  Tensor x, weight;
  std::vector<std::int64_t> stride, before, after;  // of the axes behind the channels
  cann::aclFormat format;
};

void convolve(const Aclnn& aclnn, Planes planes, const Tensor& bias, Tensor& out) {
  // The operator pads both sides alike.
  if (planes.before != planes.after) {
    Shape padded = planes.x.shape();
    std::vector<std::int64_t> pairs;
    for (std::size_t axis = planes.before.size(); axis-- > 0;) {
      pairs.push_back(planes.before[axis]);
      pairs.push_back(planes.after[axis]);
      const int at = static_cast<int>(axis) + 2;
      padded = padded.with(at, padded[at] + planes.before[axis] + planes.after[axis]);
    }
    Tensor wider = aclnn.empty(padded, planes.x.dtype());
    aclnn.run(aclnn.api().pad, aclnn.tensor(planes.x).get(), aclnn.ints(pairs).get(),
              aclnn.scalar(0.0f).get(), Aclnn::mutable_of(aclnn.tensor(wider)));
    planes.x = wider;
    planes.before.assign(planes.before.size(), 0);
  }
  const std::vector<std::int64_t> ones(planes.stride.size(), 1), zeros(planes.stride.size(), 0);
  const TensorHandle added =
      bias.defined() ? aclnn.tensor(bias) : TensorHandle(nullptr, aclnn.api().aclDestroyTensor);
  constexpr bool kTransposed = false;
  constexpr std::int64_t kGroups = 1;
  aclnn.run(aclnn.api().convolution, aclnn.tensor(planes.x, planes.format).get(),
            aclnn.tensor(planes.weight, planes.format).get(), added.get(),
            aclnn.ints(planes.stride).get(), aclnn.ints(planes.before).get(),
            aclnn.ints(ones).get(), kTransposed, aclnn.ints(zeros).get(), kGroups,
            Aclnn::mutable_of(aclnn.tensor(out, planes.format)), cann::KEEP_DTYPE);
}

// The kernel's only frame that sees the picture; -1 where several do.
std::int64_t only_tap(const ConvArgs& args) {
  const std::int64_t taps = args.weight.shape()[2];
  if (taps == 1 && args.stride[0] == 1 && args.pad_before[0] == 0 && args.pad_after[0] == 0)
    return 0;
  const bool one = args.x.shape()[1] == 1 && args.out.shape()[1] == 1;
  return one && args.pad_before[0] < taps ? args.pad_before[0] : -1;
}

}  // namespace

void conv(Stream& stream, Workspace&, const ConvArgs& args) {
  if (args.out.elements() == 0) return;
  const Aclnn aclnn(stream);
  const DType dtype = args.x.dtype();
  const Shape &x = args.x.shape(), &out = args.out.shape();
  const Tensor weight = aclnn.in(args.weight, dtype);
  const Tensor bias =
      args.bias != nullptr ? aclnn.contiguous(aclnn.in(*args.bias, dtype)) : Tensor();
  const auto tail = [](const std::array<std::int64_t, 3>& of, std::size_t from) {
    return std::vector<std::int64_t>(of.begin() + static_cast<std::ptrdiff_t>(from), of.end());
  };
  if (const std::int64_t tap = only_tap(args); tap >= 0) {  // pictures, frame by frame
    const Tensor pictures =
        aclnn.contiguous(args.x.permute({0, 1, 4, 2, 3})).reshape({x[0] * x[1], x[4], x[2], x[3]});
    Tensor made = aclnn.empty({x[0] * x[1], out[4], out[2], out[3]}, dtype);
    convolve(aclnn,
             {pictures, aclnn.contiguous(weight.select(2, tap)), tail(args.stride, 1),
              tail(args.pad_before, 1), tail(args.pad_after, 1), cann::ACL_FORMAT_NCHW},
             bias, made);
    aclnn.copy(made.reshape({out[0], out[1], out[4], out[2], out[3]}).permute({0, 1, 3, 4, 2}),
               args.out);
    return;
  }
  Tensor made = aclnn.empty({out[0], out[4], out[1], out[2], out[3]}, dtype);
  convolve(aclnn,
           {aclnn.contiguous(args.x.permute({0, 4, 1, 2, 3})), aclnn.contiguous(weight),
            tail(args.stride, 0), tail(args.pad_before, 0), tail(args.pad_after, 0),
            cann::ACL_FORMAT_NCDHW},
           bias, made);
  aclnn.copy(made.permute({0, 2, 3, 4, 1}), args.out);
}

const OpTable& ops() noexcept {
  static constexpr OpTable table = {
      .linear = linear,
      .matmul = matmul,
      .layer_norm = layer_norm,
      .rms_norm = rms_norm,
      .rope = rope,
      .activate = activate,
      .gated_activate = gated_activate,
      .add_gated = add_gated,
      .combine = combine,
      .scale_shift = scale_shift,
      .guide = guide,
      .embedding = embedding,
      .softmax = softmax,
      .conv = conv,
      .upsample_nearest = upsample_nearest,
      .all_finite = all_finite,
  };
  return table;
}

}  // namespace annulus::ascend

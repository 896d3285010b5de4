// Convolutions over oneDNN, channels last. Three things happen before it is called: taps that see
// only padding are cut off the weight, kernels of one tap become linear layers, and an x or out
// that oneDNN cannot take as it lies goes through dense copies of a band of rows at a time.
#include <algorithm>
#include <optional>

#include "platform/cpu/cpu_device.h"
#include "platform/cpu/onednn.h"
#include "platform/cpu/ops.h"
#include "tensor/copy.h"

namespace annulus::cpu {

namespace {

constexpr std::int64_t kBandBytes = std::int64_t{16} << 20;

std::size_t at(int axis) noexcept {
  return static_cast<std::size_t>(axis);
}

// One call, with what earlier steps made of its arguments. Arrays are frames, height, width.
struct Call {
  Tensor x, weight, out;
  const Tensor* bias;
  std::array<std::int64_t, 3> stride, pad_before, pad_after;
};

Call call_of(const ConvArgs& args) {
  return {args.x, args.weight, args.out, args.bias, args.stride, args.pad_before, args.pad_after};
}

// Cuts off what is not seen along one axis: taps at the ends of the kernel that see nothing but
// padding (a causal kernel over one frame keeps its last tap), and rows of x that no tap reaches.
// False: every tap sees nothing but padding.
bool cut_unseen(Call& call, int axis) {
  const std::int64_t taps = call.weight.shape()[2 + axis], extent = call.x.shape()[1 + axis],
                     steps = call.out.shape()[1 + axis], stride = call.stride[at(axis)];
  std::int64_t& before = call.pad_before[at(axis)];
  const auto sees = [&](std::int64_t tap) {  // at some step, some row of x?
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::int64_t from = step * stride + tap - before;
      if (from >= 0 && from < extent) return true;
    }
    return false;
  };
  std::int64_t first = 0, last = taps;
  while (first < last && !sees(first)) ++first;
  while (last > first && !sees(last - 1)) --last;
  if (first == last) return false;
  call.weight = call.weight.slice(2 + axis, first, last);
  before -= first;

  const std::int64_t begin = std::max<std::int64_t>(-before, 0);
  const std::int64_t reach = (steps - 1) * stride - before + last - first;  // of the last tap
  const std::int64_t end = std::min(reach, extent);
  call.x = call.x.slice(1 + axis, begin, end);
  before += begin;
  call.pad_after[at(axis)] = reach - end;
  return true;
}

bool is_pointwise(const Call& call) noexcept {
  for (int axis = 0; axis < 3; ++axis)
    if (call.weight.shape()[2 + axis] != 1 || call.stride[at(axis)] != 1 ||
        call.pad_before[at(axis)] != 0 || call.pad_after[at(axis)] != 0)
      return false;
  return true;
}

// Frames that do not mix are entries of the batch.
void fold_frames(Call& call) {
  const bool alone = call.weight.shape()[2] == 1 && call.stride[0] == 1 &&
                     call.pad_before[0] == 0 && call.pad_after[0] == 0;
  const Shape &x = call.x.shape(), &out = call.out.shape();
  if (!alone || x[1] == 1 || !call.x.is_contiguous() || !call.out.is_contiguous()) return;
  call.x = call.x.reshape({x[0] * x[1], 1, x[2], x[3], x[4]});
  call.out = call.out.reshape({out[0] * out[1], 1, out[2], out[3], out[4]});
}

// Runs calls of one weight, which is arranged once for all that want it in the same order.
class Runner {
 public:
  Runner(Stream& stream, Workspace& workspace, DType data)
      : stream_(stream), workspace_(workspace), device_(cpu_device(stream)), data_(data) {}

  // x and out as oneDNN takes them.
  void run(const Call& call) {
    const Shape &x = call.x.shape(), &kernel = call.weight.shape(), &out = call.out.shape();
    const auto& s = call.weight.strides();
    const std::shared_ptr<const MadeConvolution> made =
        device_.onednn().convolution({.data = data_,
                                      .out = call.out.dtype(),
                                      .weight = call.weight.dtype(),
                                      .batch = x[0],
                                      .in = x[4],
                                      .out_channels = out[4],
                                      .x_extent = {x[1], x[2], x[3]},
                                      .kernel = {kernel[2], kernel[3], kernel[4]},
                                      .out_extent = {out[1], out[2], out[3]},
                                      .stride = call.stride,
                                      .pad_before = call.pad_before,
                                      .pad_after = call.pad_after,
                                      .weight_stride = {s[0], s[1], s[2], s[3], s[4]},
                                      .bias = call.bias != nullptr});
    if (arranged_for_ == nullptr || !same_arrangement(*arranged_for_, *made)) {
      arranged_ = device_.allocate(arranged_bytes(*made));
      device_.onednn().arrange_weight(*made, call.weight.address(), arranged_->data);
      arranged_for_ = made;
    }
    const float* const bias =
        call.bias != nullptr ? reinterpret_cast<const float*>(call.bias->address()) : nullptr;
    device_.onednn().run(*made, call.x.address(), arranged_->data, bias, call.out.address(),
                         workspace_.take(scratch_bytes(*made)));
  }

  // Any x and out, through dense copies where one is needed.
  void run_copied(const Call& call, DType out_dtype) {
    Call dense = call;
    if (!call.x.is_contiguous() || call.x.dtype() != data_)
      dense.x = contiguous(stream_, cast(stream_, call.x, data_));
    if (!call.out.is_contiguous() || call.out.dtype() != out_dtype)
      dense.out = Tensor::empty(call.out.shape(), out_dtype, device_);
    run(dense);
    if (dense.out.address() != call.out.address()) {
      Tensor out = call.out;
      copy(stream_, dense.out, out);
    }
  }

 private:
  Stream& stream_;
  Workspace& workspace_;
  CpuDevice& device_;
  DType data_;
  std::shared_ptr<Buffer> arranged_;
  std::shared_ptr<const MadeConvolution> arranged_for_;
};

// What a convolution that sees only padding gives.
void store_bias(Stream& stream, const Call& call) {
  Tensor out = call.out;
  if (call.bias != nullptr)
    copy(stream, call.bias->expand(out.shape()), out);
  else
    stream.device().fill(stream, out, 0);
}

// The part of a call that makes a range of one axis of out; nothing when it sees only padding (and
// is done then).
std::optional<Call> part_of(Stream& stream, const Call& call, int axis, std::int64_t begin,
                            std::int64_t end) {
  Call part = call;
  part.out = call.out.slice(1 + axis, begin, end);
  part.pad_before[at(axis)] -= begin * call.stride[at(axis)];
  if (cut_unseen(part, axis)) return part;
  store_bias(stream, part);
  return std::nullopt;
}

void run_in_bands(Stream& stream, Runner& runner, const Call& call, DType out_dtype) {
  const Shape& out = call.out.shape();
  for (std::int64_t entry = 0; entry < out[0]; ++entry) {
    Call one = call;
    one.x = call.x.slice(0, entry, entry + 1);
    one.out = call.out.slice(0, entry, entry + 1);
    for (std::int64_t frame = 0; frame < out[1]; ++frame) {
      const std::optional<Call> picture = part_of(stream, one, 0, frame, frame + 1);
      if (!picture) continue;
      const Shape& x = picture->x.shape();
      const std::int64_t line_bytes =
          4 * std::max(x[1] * x[3] * x[4] * call.stride[1], out[3] * out[4]);
      const std::int64_t rows = std::max<std::int64_t>(kBandBytes / line_bytes, 1);
      for (std::int64_t row = 0; row < out[2]; row += rows)
        if (const std::optional<Call> band =
                part_of(stream, *picture, 1, row, std::min(row + rows, out[2])))
          runner.run_copied(*band, out_dtype);
    }
  }
}

}  // namespace

void conv(Stream& stream, Workspace& workspace, const ConvArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  for (const Tensor* x : {&args.x, &args.weight, static_cast<const Tensor*>(&args.out)})
    check_dtype(*x);
  if (args.out.elements() == 0) return;
  Call call = call_of(args);
  const bool sees = cut_unseen(call, 0) && cut_unseen(call, 1) && cut_unseen(call, 2);
  if (!sees || args.x.elements() == 0) return store_bias(stream, call);
  if (is_pointwise(call)) {
    const Tensor weight = call.weight.select(4, 0).select(3, 0).select(2, 0);  // [out, in]
    if (weight.stride(1) == 1)
      return linear(stream, workspace, {call.x, weight, args.bias, Activation::None, call.out});
  }

  std::optional<Tensor> bias;  // f32
  if (args.bias != nullptr) bias = contiguous(stream, cast(stream, *args.bias, DType::F32));
  call.bias = bias ? &*bias : nullptr;
  if (call.weight.dtype() == DType::F16) call.weight = cast(stream, call.weight, DType::F32);

  const DType data =
      args.x.dtype() == DType::BF16 && device.has_bf16_products() ? DType::BF16 : DType::F32;
  const DType out_dtype =
      args.out.dtype() == data || args.out.dtype() == DType::F32 ? args.out.dtype() : DType::F32;
  Runner runner(stream, workspace, data);
  fold_frames(call);
  if (call.x.dtype() == data && call.x.is_contiguous() && call.out.dtype() == out_dtype &&
      call.out.is_contiguous())
    runner.run(call);
  else
    run_in_bands(stream, runner, call, out_dtype);
}

}  // namespace annulus::cpu

// The installed header over this folder. Arrays become Tensors in place; nothing is copied.
#include <algorithm>
#include <annulus/attention.hpp>
#include <limits>
#include <span>
#include <utility>

#include "attention/cpu/flash.h"
#include "attention/merge.h"
#include "attention/reference.h"
#include "base/parallel_for.h"
#include "tensor/host_device.h"

namespace annulus::attention {

namespace {

annulus::DType own(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return annulus::DType::F16;
    case DType::BF16:
      return annulus::DType::BF16;
    case DType::I32:
      return annulus::DType::I32;
    case DType::Bool:
      return annulus::DType::Bool;
    default:
      return annulus::DType::F32;
  }
}

annulus::Causal own(Causal causal) {
  switch (causal) {
    case Causal::TopLeft:
      return annulus::Causal::TopLeft;
    case Causal::BottomRight:
      return annulus::Causal::BottomRight;
    default:
      return annulus::Causal::No;
  }
}

// A tensor over the caller's memory, or an undefined one when there is none.
Tensor over(Device& device, const void* data, bool writable, DType dtype,
            const std::vector<std::int64_t>& extents, const std::vector<std::int64_t>& steps) {
  if (data == nullptr) return {};
  const Shape shape{std::span<const std::int64_t>(extents)};
  Strides strides = contiguous_strides(shape);
  if (!steps.empty()) {
    require(steps.size() == extents.size(), ErrorCode::InvalidRequest,
            "array: wanted a stride for each of ", extents.size(), " axes, found ", steps.size());
    std::ranges::copy(steps, strides.begin());
  }
  const auto buffer = std::make_shared<Buffer>();
  // A buffer is writable or not as a whole, and only writable ones hand out writable views.
  buffer->data = const_cast<std::byte*>(static_cast<const std::byte*>(data));
  buffer->bytes = bytes_spanned(shape, strides, own(dtype));
  buffer->device = &device;
  buffer->writable = writable;
  return Tensor::over(buffer, 0, shape, strides, own(dtype));
}

Tensor over(Device& device, const Input& input) {
  return over(device, input.data, false, input.dtype, input.shape, input.strides);
}

Tensor over(Device& device, const Output& output) {
  return over(device, output.data, true, output.dtype, output.shape, output.strides);
}

const Tensor* or_null(const Tensor& tensor) noexcept {
  return tensor.defined() ? &tensor : nullptr;
}

Isa isa_named(std::string_view name) {
  if (name.empty()) return chosen_isa();
  for (const Isa usable : usable_isas())
    if (name_of(usable) == name) return usable;
  throw Error(ErrorCode::NotFound,
              text_of("instruction set: wanted one of this CPU, found ", name));
}

const AttentionBackend& backend_named(std::string_view name, Isa isa) {
  if (name == "flash") return flash_attention(isa);
  if (name == "flash_int8") return flash_int8_attention(isa);
  require(name == "reference", ErrorCode::NotFound,
          "attention backend: wanted flash, flash_int8 or reference, found ", name);
  return reference_attention();
}

// A call's arrays as tensors; `args` refers to them.
struct Call {
  Tensor q, k, v, lengths, mask, diagonals, cu_q, cu_k;
  AttentionArgs args;

  Call(Device& device, const Arguments& from)
      : q(over(device, from.q)),
        k(over(device, from.k)),
        v(over(device, from.v)),
        lengths(over(device, from.kv_lengths)),
        mask(over(device, from.mask)),
        diagonals(over(device, from.diagonals)),
        cu_q(over(device, from.cu_seqlens_q)),
        cu_k(over(device, from.cu_seqlens_k)),
        args{.q = q,
             .k = k,
             .v = v,
             .scale = from.scale,
             .causal = own(from.causal),
             .window = from.window,
             .kv_lengths = or_null(lengths),
             .mask = or_null(mask),
             .diagonals = or_null(diagonals),
             .cu_seqlens_q = or_null(cu_q),
             .cu_seqlens_k = or_null(cu_k)} {
    require(q.defined() && k.defined() && v.defined(), ErrorCode::InvalidRequest,
            "attention: wanted q, k and v, found one of them absent");
  }
  ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

RunningAttention over(Device& device, const Running& running) {
  return {over(device, running.out), over(device, running.max), over(device, running.sum)};
}

}  // namespace

Input::Input(const void* memory, DType type, std::vector<std::int64_t> extents,
             std::vector<std::int64_t> steps)
    : data(memory), dtype(type), shape(std::move(extents)), strides(std::move(steps)) {}

Input::Input(const float* memory, std::vector<std::int64_t> extents,
             std::vector<std::int64_t> steps)
    : Input(memory, DType::F32, std::move(extents), std::move(steps)) {}

Input::Input(const std::int32_t* memory, std::vector<std::int64_t> extents)
    : Input(memory, DType::I32, std::move(extents)) {}

Input::Input(const bool* memory, std::vector<std::int64_t> extents, std::vector<std::int64_t> steps)
    : Input(memory, DType::Bool, std::move(extents), std::move(steps)) {}

Output::Output(void* memory, DType type, std::vector<std::int64_t> extents,
               std::vector<std::int64_t> steps)
    : data(memory), dtype(type), shape(std::move(extents)), strides(std::move(steps)) {}

Output::Output(float* memory, std::vector<std::int64_t> extents, std::vector<std::int64_t> steps)
    : Output(memory, DType::F32, std::move(extents), std::move(steps)) {}

std::vector<std::string_view> instruction_sets() {
  std::vector<std::string_view> names;
  for (const Isa isa : usable_isas()) names.push_back(name_of(isa));
  return names;
}

struct Attention::Parts {
  Isa isa;
  const AttentionBackend& backend;
  HostDevice device;
  std::unique_ptr<Stream> stream;
  Workspace workspace;

  Parts(int threads, std::string_view name, std::string_view isa_name)
      : isa(isa_named(isa_name)),
        backend(backend_named(name, isa)),
        device(threads > 0 ? threads : available_cores()),
        stream(device.make_stream()),
        workspace(device) {}
};

Attention::Attention(int threads, std::string_view backend, std::string_view isa)
    : parts_(std::make_unique<Parts>(threads, backend, isa)) {}

Attention::~Attention() = default;
Attention::Attention(Attention&&) noexcept = default;
Attention& Attention::operator=(Attention&&) noexcept = default;

std::string_view Attention::instruction_set() const noexcept {
  return name_of(parts_->isa);
}

void Attention::run(const Arguments& arguments, const Output& out, const Output& lse) {
  const Call call(parts_->device, arguments);
  Tensor out_tensor = over(parts_->device, out), lse_tensor = over(parts_->device, lse);
  require(out_tensor.defined(), ErrorCode::InvalidRequest,
          "attention: wanted memory for out, found none");
  parts_->backend.run(*parts_->stream, parts_->workspace, call.args, out_tensor,
                      lse_tensor.defined() ? &lse_tensor : nullptr);
}

void Attention::merge(const Output& out, const Output& lse, const Input& part_out,
                      const Input& part_lse) {
  Device& device = parts_->device;
  Tensor total = over(device, out), total_lse = over(device, lse);
  const Tensor part = over(device, part_out), its_lse = over(device, part_lse);
  require(total.defined() && total_lse.defined() && part.defined() && its_lse.defined(),
          ErrorCode::InvalidRequest, "merge: wanted four arrays, found one of them absent");
  require(total.shape().rank() == 4 && part.shape() == total.shape() &&
              total_lse.shape() == Shape{total.shape()[0], total.shape()[2], total.shape()[1]} &&
              its_lse.shape() == total_lse.shape(),
          ErrorCode::InvalidRequest,
          "merge: wanted out [batch, seq_q, heads, head_dim] twice and lse [batch, heads, seq_q] "
          "twice, found ",
          total.shape(), ", ", part.shape(), ", ", total_lse.shape(), ", ", its_lse.shape());
  merge_partial(host_threads(*parts_->stream), total.view<float, 4>(), total_lse.view<float, 3>(),
                part.view<float, 4>(), its_lse.view<float, 3>());
}

void Attention::start(const Running& running) {
  RunningAttention tensors = over(parts_->device, running);
  check(tensors);
  parts_->device.fill(*parts_->stream, tensors.out, 0);
  parts_->device.fill(*parts_->stream, tensors.max, -std::numeric_limits<double>::infinity());
  parts_->device.fill(*parts_->stream, tensors.sum, 0);
}

void Attention::fold(const Arguments& arguments, const Running& running) {
  const Call call(parts_->device, arguments);
  RunningAttention tensors = over(parts_->device, running);
  parts_->backend.fold(*parts_->stream, parts_->workspace, call.args, tensors);
}

void Attention::finish(const Running& running, const Output& out, const Output& lse) {
  const RunningAttention tensors = over(parts_->device, running);
  Tensor out_tensor = over(parts_->device, out), lse_tensor = over(parts_->device, lse);
  annulus::finish(*parts_->stream, tensors, out_tensor,
                  lse_tensor.defined() ? &lse_tensor : nullptr);
}

}  // namespace annulus::attention

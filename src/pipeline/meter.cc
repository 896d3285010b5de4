#include "pipeline/meter.h"

#include <algorithm>
#include <cstring>

#include "tensor/memory_pool.h"

namespace annulus {

namespace {

// Blocks in which platforms convert what their arithmetic does not take as it lies (cpu/linear.cc,
// cpu/conv.cc).
constexpr std::size_t kWeightBlock = std::size_t{4} << 20, kXBlock = std::size_t{32} << 20,
                      kOutBlock = std::size_t{2} << 20, kBand = std::size_t{16} << 20;

MeterDevice& meter(Stream& stream) {
  return static_cast<MeterDevice&>(stream.device());  // Meter makes no other
}

void read(Stream& stream, const Tensor* weight) {
  if (weight != nullptr) meter(stream).read(*weight, weight->bytes());
}

std::size_t as_f32(const Tensor& x) noexcept {
  return static_cast<std::size_t>(x.elements()) * sizeof(float);
}

template <class Args>
void nothing(Stream&, Workspace&, const Args&) {}

void linear(Stream& stream, Workspace& workspace, const LinearArgs& args) {
  read(stream, &args.weight);
  read(stream, args.bias);
  const bool convert_x = args.x.dtype() == DType::F16 || !args.x.is_contiguous();
  const bool convert_weight = args.weight.dtype() != args.x.dtype() || args.x.dtype() == DType::F16;
  std::size_t scratch = 0;
  if (convert_x) scratch += std::min(as_f32(args.x), kXBlock);
  if (convert_weight)
    scratch += std::min(as_f32(args.weight), kWeightBlock) + std::min(as_f32(args.out), kOutBlock);
  if (scratch > 0) workspace.take(scratch);
}

void layer_norm(Stream& stream, Workspace&, const LayerNormArgs& args) {
  read(stream, args.weight);
  read(stream, args.bias);
}

void rms_norm(Stream& stream, Workspace&, const RmsNormArgs& args) {
  read(stream, args.weight);
}

void rope(Stream& stream, Workspace&, const RopeArgs& args) {
  read(stream, args.norm_weight);
}

void embedding(Stream& stream, Workspace&, const EmbeddingArgs& args) {
  constexpr std::size_t kAround = std::size_t{64} << 10;  // a page fault brings in its neighbours
  const auto row = args.table.bytes() /
                   static_cast<std::size_t>(std::max<std::int64_t>(1, args.table.shape()[0]));
  const std::size_t rows = static_cast<std::size_t>(args.ids.elements()) * std::max(row, kAround);
  meter(stream).read(args.table, std::min(args.table.bytes(), rows));
}

void conv(Stream& stream, Workspace& workspace, const ConvArgs& args) {
  read(stream, &args.weight);
  read(stream, args.bias);
  const std::size_t element = size_of(args.x.dtype());
  const Tensor arranged = Tensor::empty({args.weight.elements()}, args.x.dtype(), stream.device());
  const bool dense = args.x.is_contiguous() && args.out.is_contiguous();
  if (!dense)
    workspace.take(std::min(static_cast<std::size_t>(args.x.elements()) * element, kBand));
}

bool all_finite(Stream&, Workspace&, const AllFiniteArgs&) {
  return true;
}

constexpr OpTable kOps = {.linear = linear,
                          .matmul = nothing<MatmulArgs>,
                          .layer_norm = layer_norm,
                          .rms_norm = rms_norm,
                          .rope = rope,
                          .activate = nothing<ActivateArgs>,
                          .gated_activate = nothing<GatedActivateArgs>,
                          .add_gated = nothing<AddGatedArgs>,
                          .combine = nothing<CombineArgs>,
                          .scale_shift = nothing<ScaleShiftArgs>,
                          .guide = nothing<GuideArgs>,
                          .embedding = embedding,
                          .softmax = nothing<SoftmaxArgs>,
                          .conv = conv,
                          .upsample_nearest = nothing<UpsampleNearestArgs>,
                          .all_finite = all_finite};

class MeterAttention final : public AttentionBackend {
 public:
  std::string_view name() const noexcept override { return "meter"; }
  std::optional<std::string> refusal(const AttentionSpec&) const override { return std::nullopt; }
  void run(Stream&, Workspace&, const AttentionArgs&, Tensor&, Tensor*) const override {}
};

}  // namespace

std::shared_ptr<Buffer> MeterDevice::allocate(std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 62;
  require(bytes < kMost, ErrorCode::OutOfMemory, "memory: wanted ", bytes, " bytes");
  const std::size_t size = MemoryPool::rounded(bytes);  // what is lost counts too
  use_->in_use += size;
  use_->peak = std::max(use_->peak, use_->in_use);
  return {new Buffer{&nowhere_, size, this}, [use = use_](Buffer* buffer) {
            use->in_use -= buffer->bytes;
            delete buffer;
          }};
}

std::shared_ptr<Buffer> MeterDevice::adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                           std::size_t bytes) {
  return std::make_shared<Buffer>(
      Buffer{const_cast<std::byte*>(data), bytes, this, false, std::move(owner)});
}

void MeterDevice::copy(Stream&, const Tensor&, Tensor& to) {
  if (!to.device().host_visible() || !to.is_contiguous()) return;
  std::memset(to.address(), 0, to.bytes());
}

void MeterDevice::read(const Tensor& weight, std::size_t bytes) {
  if (&weight.device() == this) return;
  std::size_t& known = read_[weight.address()];
  known = std::max(known, bytes);
}

std::size_t MeterDevice::bytes_read() const noexcept {
  std::size_t sum = 0;
  for (const auto& [address, bytes] : read_) sum += bytes;
  return sum;
}

Context Meter::context(const Context& ctx) {
  return {Lane{device_, stream_, workspace_, mesh_}, kOps, ctx.dtype, ctx.wide};
}

const AttentionBackend& Meter::attention() noexcept {
  static const MeterAttention backend;
  return backend;
}

}  // namespace annulus

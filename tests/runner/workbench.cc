#include "workbench.h"

#include <algorithm>

#include "base/parallel_for.h"
#include "comm/communicator.h"
#include "parallel/mesh.h"
#include "tensor/copy.h"

namespace annulus::goldens {
namespace {

constexpr int kTimeoutMs = 600'000;

template <class T>
Tensor tensor_of(std::span<const T> values, const Shape& shape, HostDevice& host) {
  require(shape.elements() == static_cast<std::int64_t>(values.size()), ErrorCode::InvalidRequest,
          "golden runner: wanted ", shape, " values, found ", values.size());
  Tensor tensor = Tensor::empty(shape, kDTypeOf<T>, host);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

}  // namespace

struct Workbench::OnPlatform {
  explicit OnPlatform(const WorkbenchOptions& options)
      : platform(make_platform(options.platform, {options.threads})),
        device(*platform->devices().front()),
        world(make_single_rank()),
        mesh(*world, {}),
        stream(device.make_stream()),
        workspace(device),
        context{{device, *stream, workspace, mesh},
                platform->ops(),
                platform->wide_dtype() == DType::F64 ? DType::F64 : options.dtype,
                platform->wide_dtype()} {}

  std::unique_ptr<Platform> platform;
  Device& device;
  std::unique_ptr<Communicator> world;
  Mesh mesh;
  std::unique_ptr<Stream> stream;
  Workspace workspace;
  Context context;
};

Workbench::Workbench(WorkbenchOptions options)
    : options_(std::move(options)),
      host_(options_.threads > 0 ? options_.threads : available_cores()),
      host_stream_(host_.make_stream()) {}

Workbench::~Workbench() = default;

Workbench::OnPlatform& Workbench::on_platform() {
  if (!on_platform_) on_platform_ = std::make_unique<OnPlatform>(options_);
  return *on_platform_;
}

const Platform& Workbench::platform() {
  return *on_platform().platform;
}

const Context& Workbench::context() {
  return on_platform().context;
}

Tensor Workbench::host_tensor(std::span<const float> values, const Shape& shape) {
  return tensor_of(values, shape, host_);
}

Tensor Workbench::host_tensor(std::span<const double> values, const Shape& shape) {
  return tensor_of(values, shape, host_);
}

Tensor Workbench::host_tensor(std::span<const std::int64_t> values, const Shape& shape) {
  return tensor_of(values, shape, host_);
}

Tensor Workbench::widened(const Tensor& x) {
  const DType wide = is_floating(x.dtype()) ? DType::F64 : DType::I64;
  Tensor to = Tensor::empty(x.shape(), wide, host_);
  if (x.device().host_visible()) {
    if (on_platform_) on_platform_->device.synchronize(*on_platform_->stream, kTimeoutMs);
    copy(*host_stream_, x, to);
  } else {
    OnPlatform& there = on_platform();
    there.device.copy(*there.stream, x, to);
    there.device.synchronize(*there.stream, kTimeoutMs);
  }
  return to;
}

}  // namespace annulus::goldens

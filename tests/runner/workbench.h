#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "nn/context.h"
#include "platform/platform.h"
#include "tensor/host_device.h"

namespace annulus::goldens {

struct WorkbenchOptions {
  std::string platform;      // empty: the first that is there
  DType dtype = DType::F32;  // of GEMM and attention inputs
  int threads = 0;           // 0: the cores of this process
};

/// What kinds run on: host memory, always, and the chosen platform with a context of one rank, made
/// when first asked for (tokenizers and random numbers need none).
class Workbench {
 public:
  explicit Workbench(WorkbenchOptions options);
  ~Workbench();
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  const WorkbenchOptions& options() const noexcept { return options_; }
  int threads() const noexcept { return host_.threads(); }

  HostDevice& host() noexcept { return host_; }
  Stream& host_stream() noexcept { return *host_stream_; }

  /// Throws NotFound or Unsupported when the chosen platform is not there.
  const Platform& platform();
  const Context& context();

  /// Host values as a tensor on the host.
  Tensor host_tensor(std::span<const float> values, const Shape& shape);
  Tensor host_tensor(std::span<const double> values, const Shape& shape);
  Tensor host_tensor(std::span<const std::int64_t> values, const Shape& shape);

  /// `x` of any device and dtype as f64 (floating types) or i64 (others), contiguous on the host.
  /// Waits for the context's stream.
  Tensor widened(const Tensor& x);

 private:
  struct OnPlatform;
  OnPlatform& on_platform();

  WorkbenchOptions options_;
  HostDevice host_;
  std::unique_ptr<Stream> host_stream_;
  std::unique_ptr<OnPlatform> on_platform_;
};

}  // namespace annulus::goldens

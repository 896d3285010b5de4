#include "schedulers/threshold.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

constexpr int kTimeoutMs = 60'000;

/// Linear between neighbours in rank.
float quantile(std::vector<float>& values, double ratio) {
  const double rank = ratio * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(values.begin(), below, values.end());
  const float low = *below;
  if (below + 1 == values.end()) return low;
  const float high = *std::min_element(below + 1, values.end());
  return low + static_cast<float>(rank - std::floor(rank)) * (high - low);
}

}  // namespace

Tensor thresholded(const Context& ctx, const Tensor& x, double ratio, double most) {
  HostDevice host(1, "threshold");
  Tensor staged = Tensor::empty(x.shape(), DType::F32, host);
  copy(ctx.stream, x, staged);
  ctx.device.synchronize(ctx.stream, kTimeoutMs);
  const std::int64_t batch = x.shape()[0];
  const std::int64_t size = batch == 0 ? 0 : x.elements() / batch;
  if (size > 0) {
    for (std::int64_t entry = 0; entry < batch; ++entry) {
      const std::span<float> values(staged.data<float>() + entry * size,
                                    static_cast<std::size_t>(size));
      std::vector<float> magnitudes(values.size());
      std::transform(values.begin(), values.end(), magnitudes.begin(),
                     [](float v) { return std::abs(v); });
      const float s =
          std::min(std::max(quantile(magnitudes, ratio), 1.0f), static_cast<float>(most));
      for (float& v : values) v = std::min(std::max(v, -s), s) / s;
    }
  }
  Tensor cut = Tensor::empty(x.shape(), ctx.wide, ctx.device);
  copy(ctx.stream, staged, cut);
  ctx.device.synchronize(ctx.stream, kTimeoutMs);  // `staged` ends here
  return cut;
}

}  // namespace annulus

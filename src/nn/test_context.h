// For tests of layers and models: a context of one rank on a platform, and tensors of random
// numbers.
#pragma once

#include <cmath>
#include <memory>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "nn/context.h"
#include "nn/transfer.h"
#include "parallel/mesh.h"
#include "platform/platform.h"

namespace annulus {

class TestContext {
 public:
  explicit TestContext(std::string_view platform_name = "reference", int threads = 1)
      : TestContext(platform_name, threads, nullptr, {}) {}

  /// One rank of `world` (null: of a world of its own).
  TestContext(std::string_view platform_name, int threads, Communicator* world, ParallelPlan plan)
      : platform_(make_platform(platform_name, {.threads = threads})),
        world_(make_single_rank()),
        mesh_(world == nullptr ? *world_ : *world, plan),
        stream_(platform_->devices().front()->make_stream()),
        workspace_(*platform_->devices().front()) {}

  const Platform& platform() const noexcept { return *platform_; }

  /// With the platform's wide dtype for everything.
  Context context() {
    const DType wide = platform_->wide_dtype();
    return {
        {*platform_->devices().front(), *stream_, workspace_, mesh_}, platform_->ops(), wide, wide};
  }

  AttentionSelection attention() const {
    return {.order = platform_->attention(),
            .ring_default = platform_->default_ring_attention_backend(),
            .ring = mesh_.plan().ring > 1};
  }

  /// Normal numbers of deviation `scale`, in the wide dtype.
  Tensor random(const Shape& shape, double scale = 1) {
    std::normal_distribution<double> normal(0, scale);
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    for (double& value : values) value = normal(engine_);
    return to_device(context(), values, shape, platform_->wide_dtype());
  }

 private:
  std::unique_ptr<Platform> platform_;
  std::unique_ptr<Communicator> world_;
  Mesh mesh_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  std::mt19937_64 engine_{1};
};

/// The largest difference of two lists; infinity when their lengths differ or one holds a NaN.
inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;
    if (difference != difference) return HUGE_VAL;
  }
  return largest;
}

}  // namespace annulus

#include "pipeline/initial_noise.h"

#include <algorithm>
#include <vector>

#include "base/random/torch_generator.h"
#include "nn/transfer.h"

namespace annulus {

Tensor initial_noise(const Context& ctx, std::span<const std::uint64_t> seeds,
                     const Shape& shape_of_one) {
  const auto count = static_cast<std::size_t>(shape_of_one.elements());
  std::vector<float> values(count * seeds.size());
  for (std::size_t i = 0; i < seeds.size(); ++i)
    TorchGenerator(seeds[i]).randn(std::span(values).subspan(i * count, count));

  std::vector<std::int64_t> extents = {static_cast<std::int64_t>(seeds.size())};
  const std::span<const std::int64_t> rest = shape_of_one.extents();
  extents.insert(extents.end(), rest.begin(), rest.end());
  return to_device(ctx, values, Shape(std::span<const std::int64_t>(extents)), ctx.wide);
}

}  // namespace annulus

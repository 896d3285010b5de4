#include "nn/embeddings.h"

#include <cmath>

#include "nn/transfer.h"

namespace annulus {

Tensor embed(const Context& ctx, std::span<const std::int32_t> ids, std::int64_t batch,
             std::int64_t seq, const Tensor& table) {
  for (const std::int32_t id : ids)
    require(id >= 0 && id < table.shape()[0], ErrorCode::InvalidRequest,
            "embedding: wanted token ids below ", table.shape()[0], ", found ", id);
  const Tensor index = to_device(ctx, ids, {batch, seq});
  Tensor out = Tensor::empty({batch, seq, table.shape()[1]}, ctx.wide, ctx.device);
  required_op(ctx.ops.embedding, "embedding")(ctx.stream, ctx.workspace,
                                              {.ids = index, .table = table, .out = out});
  return out;
}

Tensor sinusoids(const Context& ctx, std::span<const double> timesteps,
                 const SinusoidOptions& options) {
  const std::int64_t half = options.channels / 2;
  std::vector<double> values(timesteps.size() * static_cast<std::size_t>(options.channels));
  for (std::size_t t = 0; t < timesteps.size(); ++t) {
    double* row = values.data() + t * static_cast<std::size_t>(options.channels);
    for (std::int64_t i = 0; i < half; ++i) {
      // f32 where the reference computes in f32: the angle of a timestep near 1000 is sensitive to
      // it.
      const auto exponent = static_cast<float>(-std::log(options.max_period)) *
                            static_cast<float>(i) /
                            static_cast<float>(static_cast<double>(half) - options.shift);
      const float angle = static_cast<float>(options.scale) *
                          (static_cast<float>(timesteps[t]) * std::exp(exponent));
      row[i + (options.cos_first ? half : 0)] = std::sin(static_cast<double>(angle));
      row[i + (options.cos_first ? 0 : half)] = std::cos(static_cast<double>(angle));
    }
  }
  return to_device(ctx, values, {static_cast<std::int64_t>(timesteps.size()), options.channels},
                   ctx.wide);
}

}  // namespace annulus

#pragma once

#include <span>

#include "nn/linear.h"

namespace annulus {

/// Rows of `table` [vocabulary, hidden] for ids [batch][seq] (row-major): [batch, seq, hidden] in
/// the context's wide dtype. Throws InvalidRequest for an id outside the table.
Tensor embed(const Context& ctx, std::span<const std::int32_t> ids, std::int64_t batch,
             std::int64_t seq, const Tensor& table);

/// Sinusoids of timesteps: [timesteps, channels] in the wide dtype, cosines first where
/// `cos_first`; frequencies max_period^(-i / (channels / 2 - shift)). Source: diffusers
/// get_timestep_embedding.
struct SinusoidOptions {
  std::int64_t channels = 256;
  bool cos_first = true;
  double shift = 0;  // downscale_freq_shift
  double scale = 1;
  double max_period = 10000;
};
Tensor sinusoids(const Context& ctx, std::span<const double> timesteps,
                 const SinusoidOptions& options);

}  // namespace annulus

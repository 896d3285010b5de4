#pragma once

#include <array>
#include <optional>

#include "io/weight_scope.h"
#include "nn/context.h"

namespace annulus {

/// A convolution over [batch, frames, height, width, channels] (channels last).
struct Conv {
  Tensor weight;  // [out, in, kt, kh, kw], as mapped; kt is 1 where the checkpoint has a 2-D kernel
  std::optional<Tensor> bias;  // [out]
};

/// Rows of zeros around the input, and steps, along frames, height, width.
struct ConvGeometry {
  std::array<std::int64_t, 3> stride = {1, 1, 1};
  std::array<std::int64_t, 3> pad_before = {0, 0, 0};
  std::array<std::int64_t, 3> pad_after = {0, 0, 0};
};

/// Reads `weight` [out, in, kernel...] (2-D kernels get kt = 1) and `bias`. Throws CorruptFile.
Conv load_conv(const WeightScope& w, std::int64_t in, std::int64_t out,
               std::array<std::int64_t, 3> kernel);
Conv load_conv(const WeightScope& w, std::int64_t in, std::int64_t out,
               std::array<std::int64_t, 2> kernel);

/// x [batch, frames, height, width, in] -> [batch, frames', height', width', out] in the context's
/// dtype.
Tensor conv(const Context& ctx, const Tensor& x, const Conv& layer, const ConvGeometry& geometry);

/// As conv, into `out` (the shape conv would return, any floating dtype, outer axes may be
/// strided), written.
void conv_into(const Context& ctx, const Tensor& x, const Conv& layer, const ConvGeometry& geometry,
               Tensor& out);

/// Each pixel of x [batch, frames, height, width, channels] repeated `factor` times along height
/// and width.
Tensor upsample_nearest(const Context& ctx, const Tensor& x, int factor);

}  // namespace annulus

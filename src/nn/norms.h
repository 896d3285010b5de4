#pragma once

#include <optional>

#include "io/weight_scope.h"
#include "nn/context.h"

namespace annulus {

struct RmsNorm {
  Tensor weight;  // [channels]
  float eps;
};

struct LayerNorm {
  std::optional<Tensor> weight, bias;  // [hidden]
  float eps;
};

/// Reads `weight` [channels]. Throws CorruptFile.
RmsNorm load_rms_norm(const WeightScope& w, std::int64_t channels, float eps);

/// Reads `weight` and `bias` [hidden]. Throws CorruptFile.
LayerNorm load_layer_norm(const WeightScope& w, std::int64_t hidden, float eps);

/// x [..., channels] -> same shape in the context's dtype.
Tensor rms_norm(const Context& ctx, const Tensor& x, const RmsNorm& norm);

/// x / max(|x|_2, eps) * sqrt(channels) * weight over the last axis, then `activation`: same shape,
/// the context's dtype. Source: diffusers QwenImageRMS_norm.
Tensor l2_norm(const Context& ctx, const Tensor& x, const RmsNorm& norm, Activation activation);

/// As l2_norm, into `out` (x's shape, any floating dtype, outer axes may be strided), written.
void l2_norm_into(const Context& ctx, const Tensor& x, const RmsNorm& norm, Activation activation,
                  Tensor& out);

/// x [batch, seq, hidden] -> same shape in the context's dtype.
Tensor layer_norm(const Context& ctx, const Tensor& x, const LayerNorm& norm);

/// layer_norm without affine, then * (1 + scale) + shift: adaLN. shift, scale [batch, seq | 1,
/// hidden].
Tensor modulated_norm(const Context& ctx, const Tensor& x, float eps, const Tensor& shift,
                      const Tensor& scale);

/// As modulated_norm, into `out` (x's shape, any floating dtype, outer axes may be strided),
/// written: for rows that are modulated differently from their neighbours.
void modulated_norm_into(const Context& ctx, const Tensor& x, float eps, const Tensor& shift,
                         const Tensor& scale, Tensor& out);

}  // namespace annulus

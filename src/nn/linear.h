#pragma once

#include <optional>
#include <vector>

#include "io/weight_scope.h"
#include "nn/context.h"

namespace annulus {

/// A LoRA applied beside a weight: x -> scale * x a^T b^T.
struct LowRank {
  Tensor a;  // [rank, in]
  Tensor b;  // [out, rank]
  float scale;
};

/// y = x weight^T + bias, plus its adapters.
struct Linear {
  Tensor weight;               // [out, in], as mapped
  std::optional<Tensor> bias;  // [out]
  std::vector<LowRank> adapters;

  std::int64_t in() const noexcept { return weight.shape()[1]; }
  std::int64_t out() const noexcept { return weight.shape()[0]; }
};

enum class Bias : bool { No, Yes };

/// Reads `weight` [out, in] and, where wanted, `bias` [out], with the scope's adapters. Throws
/// CorruptFile.
Linear load_linear(const WeightScope& w, std::int64_t in, std::int64_t out, Bias bias = Bias::Yes);

/// x [..., in] -> [..., out] in the context's dtype, then `activation`. The dtype of x decides the
/// arithmetic.
Tensor linear(const Context& ctx, const Tensor& x, const Linear& layer,
              Activation activation = Activation::None);

/// As linear, into `out` [..., out] (any floating dtype, outer axes may be strided), written.
void linear_into(const Context& ctx, const Tensor& x, const Linear& layer, Activation activation,
                 Tensor& out);

}  // namespace annulus

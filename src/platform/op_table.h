// The operations that a platform offers, one function pointer each. nn/ checks shapes once and
// calls; nobody else does.
//
// Unless said otherwise: x and out may be f32, bf16 or f16 (f64 on the reference platform)
// independently of each other and of weights; arithmetic is f32 (double on the reference platform);
// the last axis is contiguous, outer axes may be strided; out may be the same memory as x where
// shapes are equal. A null entry means that the platform lacks it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "tensor/tensor.h"
#include "tensor/workspace.h"

namespace annulus {

enum class Activation : std::uint8_t { None, Silu, GeluTanh, GeluErf, QuickGelu, Relu };

/// out = activation(x weight^T + bias). Weights are used as mapped, in their own dtype; where the
/// arithmetic needs another, they are converted tile by tile, never whole. out must not overlap x.
struct LinearArgs {
  const Tensor& x;       // [..., in]
  const Tensor& weight;  // [out, in]
  const Tensor* bias;    // [out], or null
  Activation activation;
  Tensor& out;  // [..., out]
};

/// out[i] = alpha * a[i] b[i] (+ out[i] when `accumulate`) for each matrix of the batch; any
/// strides.
struct MatmulArgs {
  const Tensor& a;  // [batch, m, k]
  const Tensor& b;  // [batch, k, n]
  float alpha;
  bool accumulate;
  Tensor& out;  // [batch, m, n]
};

/// out = norm(x) * weight + bias, then * (1 + scale) + shift, each where given. Mean and variance
/// over the last axis.
struct LayerNormArgs {
  const Tensor& x;       // [batch, seq, hidden]
  const Tensor* weight;  // [hidden]
  const Tensor* bias;    // [hidden]
  const Tensor* shift;   // [batch, seq | 1, hidden]
  const Tensor* scale;   // [batch, seq | 1, hidden]
  float eps;
  Tensor& out;
};

/// out = activation(x / sqrt(mean(x^2) + eps) * weight), over the last axis; in the `l2` form
/// x / max(|x|_2, eps) * sqrt(channels) * weight (torch's normalize, as VAEs use it).
struct RmsNormArgs {
  const Tensor& x;       // [..., channels]
  const Tensor* weight;  // [channels], or null
  float eps;
  bool l2;
  Activation activation;
  Tensor& out;
};

/// Which elements of a head turn together: (0, 1), (2, 3), ... or (0, d/2), (1, d/2 + 1), ...
enum class RopeLayout : std::uint8_t { Pairs, Halves };

/// Rotates the first 2 * pairs elements of each head by the angle of its row; the rest pass
/// through. With norm_weight, RMSNorm over head_dim goes before it.
struct RopeArgs {
  const Tensor& x;      // [batch, seq, heads, head_dim]
  const Tensor& freqs;  // [batch | 1, seq, pairs, 2] f32 (f64 on the reference platform): cos, sin
  RopeLayout layout;
  const Tensor* norm_weight;  // [head_dim], or null
  float eps;                  // of the norm
  Tensor& out;
};

/// out = activation(x).
struct ActivateArgs {
  const Tensor& x;
  Activation activation;
  Tensor& out;
};

/// out = activation(gate) * up (SwiGLU with Silu).
struct GatedActivateArgs {
  const Tensor& gate;  // [..., inner]
  const Tensor& up;    // [..., inner]
  Activation activation;
  Tensor& out;
};

/// x += gate * y.
struct AddGatedArgs {
  Tensor& x;           // [batch, seq, hidden], updated
  const Tensor& y;     // [batch, seq, hidden]
  const Tensor& gate;  // [batch, seq | 1, hidden]
};

struct Term {
  float factor;
  const Tensor* x;
};

/// out = sum of factor * x over at most 8 terms; shapes equal out's, any strides (expanded axes
/// allowed).
struct CombineArgs {
  std::span<const Term> terms;
  Tensor& out;
};

/// out = x * scale + shift; all of out's shape, any strides (expanded axes allowed).
struct ScaleShiftArgs {
  const Tensor& x;
  const Tensor& scale;
  const Tensor& shift;
  Tensor& out;
};

/// Classifier-free guidance with the norm rescaled per token: g = uncond + factor (cond - uncond);
/// out = g |cond| / |g| over the last axis. Source: diffusers QwenImagePipeline.__call__ (true
/// CFG).
struct GuideArgs {
  const Tensor& cond;    // [batch, seq, channels]
  const Tensor& uncond;  // [batch, seq, channels]
  float factor;
  bool rescale;  // false: out = g
  Tensor& out;
};

/// out[i] = table[ids[i]]. Ids are in range (the caller has checked).
struct EmbeddingArgs {
  const Tensor& ids;    // [batch, seq] i32
  const Tensor& table;  // [vocabulary, hidden]
  Tensor& out;          // [batch, seq, hidden]
};

/// out = softmax(x + mask) over the last axis; lse is the log-sum-exp of each row, where not null.
/// Where the mask is -inf, x counts for nothing whatever it is (NaN included). A row of -inf gives
/// 0 and -inf.
struct SoftmaxArgs {
  const Tensor& x;     // [batch, rows, columns]
  const Tensor* mask;  // broadcast to x by its strides (same shape); f32; or null
  Tensor& out;
  Tensor* lse;  // [batch, rows] f32
};

/// Convolution over frames, height and width, channels last in activations, weights as in the
/// checkpoint. Padding is with zeros; taps of the kernel that see nothing but padding cost nothing
/// (a causal kernel over one frame is a 2-D convolution).
struct ConvArgs {
  const Tensor& x;                         // [batch, frames, height, width, in]
  const Tensor& weight;                    // [out, in, kt, kh, kw]
  const Tensor* bias;                      // [out], or null
  std::array<std::int64_t, 3> stride;      // frames, height, width
  std::array<std::int64_t, 3> pad_before;  // frames, height, width
  std::array<std::int64_t, 3> pad_after;
  Tensor& out;  // [batch, out_frames, out_height, out_width, out]
};

/// Each pixel repeated `factor` times along height and width.
struct UpsampleNearestArgs {
  const Tensor& x;  // [batch, frames, height, width, channels]
  int factor;
  Tensor& out;  // [batch, frames, height * factor, width * factor, channels]
};

/// Whether every element is finite (no NaN, no Inf); waits for the stream.
struct AllFiniteArgs {
  const Tensor& x;
};

template <class Args, class Result = void>
using Op = Result (*)(Stream&, Workspace&, const Args&);

struct OpTable {
  Op<LinearArgs> linear = nullptr;
  Op<MatmulArgs> matmul = nullptr;
  Op<LayerNormArgs> layer_norm = nullptr;
  Op<RmsNormArgs> rms_norm = nullptr;
  Op<RopeArgs> rope = nullptr;
  Op<ActivateArgs> activate = nullptr;
  Op<GatedActivateArgs> gated_activate = nullptr;
  Op<AddGatedArgs> add_gated = nullptr;
  Op<CombineArgs> combine = nullptr;
  Op<ScaleShiftArgs> scale_shift = nullptr;
  Op<GuideArgs> guide = nullptr;
  Op<EmbeddingArgs> embedding = nullptr;
  Op<SoftmaxArgs> softmax = nullptr;
  Op<ConvArgs> conv = nullptr;
  Op<UpsampleNearestArgs> upsample_nearest = nullptr;
  Op<AllFiniteArgs, bool> all_finite = nullptr;
};

}  // namespace annulus

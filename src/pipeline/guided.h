#pragma once

#include "nn/context.h"

namespace annulus {

/// Classifier-free guidance.
struct Guidance {
  float scale = 1;  // 1: the prediction for the prompt; more: further from the negative prompt's
  bool rescale = false;  // bring each token back to the norm of its prediction for the prompt
};

/// uncond + scale * (cond - uncond), [batch, seq, channels] in the wide dtype. Source: Ho and
/// Salimans, arXiv 2207.12598; rescaling as diffusers' QwenImagePipeline does it.
Tensor guided(const Context& ctx, const Tensor& cond, const Tensor& uncond,
              const Guidance& guidance);

}  // namespace annulus

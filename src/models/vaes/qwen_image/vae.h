// The autoencoder of Qwen-Image (the one of Wan 2.1, trained further): pictures or video to
// latents and back, whole or in tiles. Layers are in layers.h, encoder and decoder in coder.h,
// tiles in tiling.h. Start with `decode`. Source: diffusers AutoencoderKLQwenImage.
#pragma once

#include "models/vaes/qwen_image/coder.h"
#include "models/vaes/qwen_image/tiling.h"

namespace annulus::qwen_image {

struct Vae {
  VaeConfig config;
  Encoder encoder;
  Conv quant_conv, post_quant_conv;  // 1 x 1 x 1
  Decoder decoder;
};

/// Reads a vae folder's weights.
///
///   selection  of this component (selection.for_component("vae"))
///   dtype      of the contexts it will run with
///
/// Throws CorruptFile naming tensor or key and file; Unsupported from the choice of attention.
Vae load_vae(const WeightScope& w, const Json& config, const AttentionSelection& selection,
             DType dtype);

/// Mean and log of variance of the latents, z_dim channels each: [batch, frames', height', width',
/// 2 * z_dim] on the host. frames' = 1 + (frames - 1) / 4; height and width are halved at each step
/// between levels, rounding down.
///
///   pixels  [batch, frames, height, width, input_channels] in [-1, 1], any floating dtype
///   tiling  pictures larger than a tile are encoded in tiles; absent: whole
///   ranks   that divide a whole picture (not tiles) in bands of rows; all call together, and all
///   get
///           the result; null: this one alone
///
/// Throws InvalidRequest for a picture too small, Cancelled between tiles and frames.
HostTensor encode(const Context& ctx, const Vae& vae, const Tensor& pixels,
                  const std::optional<Tiling>& tiling, const Progress& progress = {},
                  Communicator* ranks = nullptr);

/// [batch, frames', height', width', z_dim] (not normalised) to [batch, 1 + 4 * (frames' - 1),
/// height' * ratio, width' * ratio, input_channels] on the host, clamped to [-1, 1] unless it was
/// done in tiles (as in diffusers). Where `ranks` are several, they divide the work in bands of
/// rows or, with tiling, by tiles; all call together, and the pixels come to the first (an empty
/// list elsewhere). With temperal_downsample set less than twice there are fewer frames. Taps (not
/// of tiles) "dec.conv_in.frame0", "dec.mid.frame0" and "dec.pre_clamp". Throws NonFinite.
HostTensor decode(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress = {},
                  Communicator* ranks = nullptr);

/// (latents - mean) / std, and back: [batch, frames, height, width, z_dim], in the wide dtype.
Tensor normalised(const Context& ctx, const VaeConfig& config, const Tensor& latents);
Tensor denormalised(const Context& ctx, const VaeConfig& config, const Tensor& latents);

}  // namespace annulus::qwen_image

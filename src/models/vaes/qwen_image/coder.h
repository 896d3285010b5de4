// The two halves of the autoencoder. Fields are named after the checkpoint.
#pragma once

#include <variant>
#include <vector>

#include "models/vaes/qwen_image/config.h"
#include "models/vaes/qwen_image/layers.h"
#include "pipeline/progress.h"

namespace annulus::qwen_image {

/// A level of Wan 2.2's encoder. Source: diffusers WanResidualDownBlock.
struct ResidualDown {
  std::vector<ResidualBlock> resnets;
  std::optional<Downsample> downsampler;
  Blocks shortcut;
  std::int64_t out;  // channels
};

/// Source: diffusers QwenImageEncoder3d and WanEncoder3d.
struct Encoder {
  Conv conv_in;
  std::vector<std::variant<ResidualBlock, AttentionBlock, Downsample, ResidualDown>> down_blocks;
  MidBlock mid_block;
  RmsNorm norm_out;
  Conv conv_out;
};

/// Source: diffusers QwenImageUpBlock and, with a shortcut, WanResidualUpBlock.
struct UpBlock {
  std::vector<ResidualBlock> resnets;
  std::optional<Upsample> upsampler;
  std::optional<Blocks> shortcut = {};
};

/// Source: diffusers QwenImageDecoder3d and WanDecoder3d.
struct Decoder {
  Conv conv_in;
  MidBlock mid_block;
  std::vector<UpBlock> up_blocks;
  RmsNorm norm_out;
  Conv conv_out;
};

Encoder load_encoder(const WeightScope& w, const VaeConfig& config,
                     const AttentionSelection& selection, DType dtype);
Decoder load_decoder(const WeightScope& w, const VaeConfig& config,
                     const AttentionSelection& selection, DType dtype);

/// One chunk of pictures: the first frame alone, or four that follow.
///
///   x  [batch, frames, height, width, input_channels] in [-1, 1]
///
/// Returns [batch, 1, height', width', 2 * z_dim] in the wide dtype; each step between levels
/// halves height and width, rounding down.
Tensor forward(const Context& ctx, const Encoder& encoder, Tensor x, FrameCache& cache);

/// One frame of latents: [batch, 1, height, width, z_dim] -> [batch, frames, height * ratio,
/// width * ratio, output_channels] in the wide dtype, frames 1 for the first. Taps "dec.conv_in"
/// and "dec.mid".
Tensor forward(const Context& ctx, const Decoder& decoder, Tensor x, FrameCache& cache,
               const Tap& tap = {});

}  // namespace annulus::qwen_image

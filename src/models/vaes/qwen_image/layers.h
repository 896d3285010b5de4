// What the autoencoder's encoder and decoder are made of. Activations are [batch, frames, height,
// width, channels] in the context's dtype. Fields are named after the checkpoint.
#pragma once

#include <optional>
#include <vector>

#include "attention/selection.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "parallel/band.h"

namespace annulus::qwen_image {

/// What layers see beside their input: the last frames that went into each causal layer, kept
/// between the chunks of a video (layers take their slots in the order in which they run), and
/// which rows this rank has.
class FrameCache {
 public:
  /// `chunks`: how often rewind() will be called. One: nothing is ever kept.
  explicit FrameCache(int chunks, const Band& band = {}) noexcept : chunks_(chunks), band_(band) {}

  /// Before each pass over the layers.
  void rewind() noexcept;
  bool first() const noexcept { return chunk_ == 1; }
  bool last() const noexcept { return chunk_ == chunks_; }
  /// The slot of the layer that asks; undefined in the first chunk.
  Tensor& slot();
  const Band& band() const noexcept { return band_; }

 private:
  int chunks_, chunk_ = 0;
  Band band_;
  std::size_t next_ = 0;
  std::vector<Tensor> slots_;
};

/// A convolution that sees no later frame: `kt - 1` frames of zeros, or of the chunk before, stand
/// before the input.
Tensor causal_conv(const Context& ctx, const Tensor& x, const Conv& layer, FrameCache& cache);

/// Where blocks of pixels and frames become channels: the shortcuts of Wan 2.2's levels.
struct Blocks {
  std::int64_t frames = 1, pixels = 1;  // of a block along time, and along height and width
  std::int64_t values() const noexcept { return frames * pixels * pixels; }
};

/// x's blocks, all their values averaged in groups to `out` channels: [batch, frames / b.frames,
/// height / b.pixels, width / b.pixels, out]. Frames that lack for a whole block are zeros in
/// front. Source: diffusers AvgDown3D.
Tensor averaged_blocks(const Context& ctx, const Tensor& x, const Blocks& b, std::int64_t out);

/// x += from's values repeated to blocks, and cut to x's frames: of the first chunk only the last
/// frame of a block is wanted. Source: diffusers DupUp3D.
void add_repeated(const Context& ctx, const Tensor& from, const Blocks& b, Tensor& x);

/// The norm of this autoencoder: `gamma`, over channels. Throws CorruptFile.
RmsNorm load_channel_norm(const WeightScope& w, std::int64_t channels, int axes);

/// causal_conv(silu(norm(x))) in `dtype`. x is consumed: its memory is reused when nobody else
/// holds it.
Tensor norm_silu_conv(const Context& ctx, Tensor x, const RmsNorm& norm, const Conv& layer,
                      FrameCache& cache, DType dtype);

/// Source: diffusers QwenImageResidualBlock.
struct ResidualBlock {
  RmsNorm norm1;
  Conv conv1;
  RmsNorm norm2;
  Conv conv2;
  std::optional<Conv> conv_shortcut;  // where the number of channels changes
};
ResidualBlock load_residual_block(const WeightScope& w, std::int64_t in, std::int64_t out);
Tensor forward(const Context& ctx, const ResidualBlock& block, Tensor x, FrameCache& cache);

/// Attention of one head among the pixels of a frame: this rank's over all ranks' (they are few at
/// this level, and so no backend needs to give LSE). Source: diffusers QwenImageAttentionBlock.
struct AttentionBlock {
  RmsNorm norm;
  Linear to_qkv, proj;  // 1 x 1 convolutions of the checkpoint as products
  AttentionChoice attention;
};
AttentionBlock load_attention_block(const WeightScope& w, std::int64_t channels,
                                    const AttentionSelection& selection, DType dtype);
Tensor forward(const Context& ctx, const AttentionBlock& block, Tensor x, const Band& band);

/// Residual, attention, residual. Source: diffusers QwenImageMidBlock.
struct MidBlock {
  ResidualBlock resnet_0, resnet_1;
  AttentionBlock attention;
};
MidBlock load_mid_block(const WeightScope& w, std::int64_t channels,
                        const AttentionSelection& selection, DType dtype);
Tensor forward(const Context& ctx, const MidBlock& block, Tensor x, FrameCache& cache);

/// Halves height and width and, with time_conv, the frames after the first. Source: diffusers
/// QwenImageResample, downsample2d and downsample3d.
struct Downsample {
  Conv resample;  // 3 x 3, step 2
  std::optional<Conv> time_conv;
};
Downsample load_downsample(const WeightScope& w, std::int64_t channels, bool temporal);
Tensor forward(const Context& ctx, const Downsample& layer, Tensor x, FrameCache& cache);

/// Doubles height and width, changes the channels to `out` and, with time_conv, doubles the frames
/// after the first. Source: diffusers QwenImageResample, upsample2d and upsample3d.
struct Upsample {
  Conv resample;  // 3 x 3
  std::optional<Conv> time_conv;
};
/// The 3 x 3 convolution of x's pixels, each repeated twice along height and width, in bands of
/// `band` rows of x: the repeated pixels, four times as many as x has, are never there as a whole.
///
///   above, below  is the first, the last row of x but a neighbour's, to be seen and not doubled?
Tensor doubled(const Context& ctx, const Tensor& x, const Conv& layer, std::int64_t band,
               bool above = false, bool below = false);

Upsample load_upsample(const WeightScope& w, std::int64_t channels, std::int64_t out,
                       bool temporal);
Tensor forward(const Context& ctx, const Upsample& layer, Tensor x, FrameCache& cache);

}  // namespace annulus::qwen_image

// The autoencoder of Wan 2.1 and 2.2 and of Qwen-Image (Wan 2.1's, trained further): pictures or
// video to latents and back, whole or in tiles, a few frames at a time. Layers are in layers.h,
// encoder and decoder in coder.h, tiles in tiling.h. Start with `decode`. Source: diffusers
// AutoencoderKLQwenImage, AutoencoderKLWan.
#pragma once

#include <functional>
#include <memory>

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

/// Frames [begin, end) of a video: [batch, end - begin, height, width, pixel_channels] in [-1, 1],
/// any floating dtype.
using FrameSource = std::function<Tensor(std::int64_t begin, std::int64_t end)>;

/// Takes the frames of a video as they are made, in order: [batch, count, height, width,
/// pixel_channels] on the host, clamped to [-1, 1] unless they were done in tiles (as in diffusers,
/// whose class for Wan clamps then too).
using FrameSink = std::function<void(HostTensor frames)>;

/// Mean and log of variance of the latents, z_dim channels each: [batch, frames', height', width',
/// 2 * z_dim] on the host. frames' = 1 + (frames - 1) / 4; height and width are halved at each step
/// between levels, rounding down.
///
///   pixels  [batch, frames, height, width, pixel_channels] in [-1, 1], any floating dtype
///   tiling  pictures larger than a tile are encoded in tiles; absent: whole
///   ranks   that divide a whole picture (not tiles) in bands of rows; all call together, and all
///   get
///           the result; null: this one alone
///
/// Throws InvalidRequest for a picture too small, Cancelled between tiles and frames.
HostTensor encode(const Context& ctx, const Vae& vae, const Tensor& pixels,
                  const std::optional<Tiling>& tiling, const Progress& progress = {},
                  Communicator* ranks = nullptr);

/// As above, of a video of which only a few frames are there at a time: `shape` is that of all its
/// pixels. With tiles, `source` is asked for the same frames once per tile.
HostTensor encode_video(const Context& ctx, const Vae& vae, const Shape& shape,
                        const FrameSource& source, const std::optional<Tiling>& tiling,
                        const Progress& progress = {}, Communicator* ranks = nullptr);

/// [batch, frames', height', width', z_dim] (not normalised) to [batch, 1 + 4 * (frames' - 1),
/// height' * ratio, width' * ratio, pixel_channels] on the host. Where `ranks` are several, they
/// divide the work in bands of rows or, with tiling, by tiles; all call together, and the pixels
/// come to the first (an empty list elsewhere). With temperal_downsample set less than twice there
/// are fewer frames. Taps (not of tiles) "dec.conv_in.frame0", "dec.mid.frame0" and
/// "dec.pre_clamp". Throws NonFinite.
HostTensor decode(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress = {},
                  Communicator* ranks = nullptr);

/// As decode, handing frames on as each latent frame is done, so that memory does not grow with
/// their number; with tiles, all at the end. Reports "decode" (frames of latents, or tiles) where
/// there is more than one.
void decode_video(const Context& ctx, const Vae& vae, const Tensor& latents,
                  const std::optional<Tiling>& tiling, const Progress& progress,
                  Communicator* ranks, const FrameSink& take);

/// Decodes a video of which latents come a frame at a time (a causal model's): holds what layers
/// keep of the past. Whole pictures, in bands of rows where there are ranks.
class VideoDecoder {
 public:
  /// `frames` of latents, `rows` high, will come. The context, `vae` and `ranks` (null: one)
  /// outlive it.
  VideoDecoder(const Context& ctx, const Vae& vae, std::int64_t frames, std::int64_t rows,
               Communicator* ranks);
  ~VideoDecoder();
  VideoDecoder(const VideoDecoder&) = delete;
  VideoDecoder& operator=(const VideoDecoder&) = delete;

  /// [batch, 1, height', width', z_dim] (not normalised) -> the frames they become, as FrameSink
  /// takes them; nothing but on the first rank. Collective.
  HostTensor next(const Tensor& latents, const Tap& tap = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// (latents - mean) / std, and back: [batch, frames, height, width, z_dim], in the wide dtype.
Tensor normalised(const Context& ctx, const VaeConfig& config, const Tensor& latents);
Tensor denormalised(const Context& ctx, const VaeConfig& config, const Tensor& latents);

}  // namespace annulus::qwen_image

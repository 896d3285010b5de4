#include "models/vaes/qwen_image/flop.h"

#include <algorithm>

namespace annulus::qwen_image {

namespace {

/// Walks the layers as coder.cc runs them; frames, height and width are those of a layer's input.
class Count {
 public:
  Count(std::int64_t frames, std::int64_t height, std::int64_t width)
      : frames_(frames), height_(height), width_(width) {}

  double result() const { return flop_; }

  /// A causal convolution of `taps` frames and `area` pixels; `out` channels from `in`.
  void conv(std::int64_t in, std::int64_t out, std::int64_t taps, std::int64_t area) {
    add(in, out, seen(taps, frames_) * area);
  }

  void residual(std::int64_t in, std::int64_t out) {
    conv(in, out, 3, 9);
    conv(out, out, 3, 9);
    if (in != out) conv(in, out, 1, 1);
  }

  void attention(std::int64_t channels) {
    const double pixels = static_cast<double>(height_ * width_);
    const auto c = static_cast<double>(channels);
    flop_ += static_cast<double>(frames_) * pixels * (8 * c * c + 4 * c * pixels);
  }

  void mid(std::int64_t channels) {
    residual(channels, channels);
    attention(channels);
    residual(channels, channels);
  }

  void down(std::int64_t channels, bool temporal) {
    height_ /= 2;
    width_ /= 2;
    conv(channels, channels, 1, 9);
    if (!temporal) return;
    frames_ = 1 + (frames_ - 1) / 2;
    if (frames_ > 1) add(channels, channels, 3 * (frames_ - 1));
  }

  void up(std::int64_t channels, bool temporal) {
    if (temporal && frames_ > 1) {
      add(channels, 2 * channels, seen(3, frames_ - 1));  // the first frame is left out
      frames_ = 1 + (frames_ - 1) * 2;
    }
    height_ *= 2;
    width_ *= 2;
    conv(channels, channels / 2, 1, 9);
  }

 private:
  /// Frames under one of `taps` taps, over `frames` output frames that zeros precede.
  static std::int64_t seen(std::int64_t taps, std::int64_t frames) {
    std::int64_t sum = 0;
    for (std::int64_t frame = 0; frame < frames; ++frame) sum += std::min(taps, frame + 1);
    return sum;
  }

  /// A kernel whose taps, over all frames, see `seen` values of each channel per pixel.
  void add(std::int64_t in, std::int64_t out, std::int64_t seen) {
    flop_ += 2.0 * static_cast<double>(in * out) * static_cast<double>(seen) *
             static_cast<double>(height_ * width_);
  }

  std::int64_t frames_, height_, width_;
  double flop_ = 0;
};

std::int64_t channels_of(const VaeConfig& config, int level) {
  return config.base_dim * config.dim_mult[static_cast<std::size_t>(level)];
}

}  // namespace

double encode_flop(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                   std::int64_t width) {
  Count count(frames, height, width);
  count.conv(config.input_channels, config.base_dim, 3, 9);
  std::int64_t in = config.base_dim;
  double scale = 1;
  for (int level = 0; level < config.levels(); ++level) {
    const std::int64_t out = channels_of(config, level);
    for (int i = 0; i < config.num_res_blocks; ++i, in = out) {
      count.residual(in, out);
      if (std::find(config.attn_scales.begin(), config.attn_scales.end(), scale) !=
          config.attn_scales.end())
        count.attention(out);
    }
    if (level + 1 == config.levels()) break;
    count.down(out, config.temperal_downsample[static_cast<std::size_t>(level)]);
    scale /= 2;
  }
  count.mid(in);
  count.conv(in, 2 * config.z_dim, 3, 9);
  count.conv(2 * config.z_dim, 2 * config.z_dim, 1, 1);
  return count.result();
}

double decode_flop(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                   std::int64_t width) {
  Count count(frames, height, width);
  std::int64_t in = channels_of(config, config.levels() - 1);
  count.conv(config.z_dim, config.z_dim, 1, 1);
  count.conv(config.z_dim, in, 3, 9);
  count.mid(in);
  for (int level = config.levels() - 1; level >= 0; --level) {
    const std::int64_t out = channels_of(config, level);
    for (int i = 0; i <= config.num_res_blocks; ++i, in = out) count.residual(in, out);
    if (level == 0) break;
    count.up(out, config.temperal_downsample[static_cast<std::size_t>(level - 1)]);
    in = out / 2;
  }
  count.conv(in, config.input_channels, 3, 9);
  return count.result();
}

}  // namespace annulus::qwen_image

#include "models/vaes/qwen_image/cost.h"

#include <algorithm>

namespace annulus::qwen_image {

namespace {

/// Walks the layers as coder.cc runs them. `frames`, `height` and `width` are those of the layer's
/// input; memory is that of the largest chunk.
class Meter {
 public:
  Meter(std::int64_t frames, std::int64_t height, std::int64_t width, std::size_t element)
      : frames_(frames), height_(height), width_(width), element_(element) {}

  VaeCost result() const { return cost_; }

  /// A causal convolution of `taps` frames and `area` pixels; `out` channels from `in`.
  void conv(std::int64_t in, std::int64_t out, std::int64_t taps, std::int64_t area) {
    add(in, out, taps * area, seen(taps, frames_) * area);
  }

  void residual(std::int64_t in, std::int64_t out) {
    conv(in, out, 3, 9);
    conv(out, out, 3, 9);
    if (in != out) conv(in, out, 1, 1);
    // x and the shortcut, what the norm made, what the convolution makes
    live(in == out ? 3 * out : std::max(in + 2 * out, 3 * out));
  }

  void attention(std::int64_t channels) {
    const double pixels = static_cast<double>(height_ * width_);
    const auto c = static_cast<double>(channels);
    cost_.flop += static_cast<double>(frames_) * pixels * (8 * c * c + 4 * c * pixels);
    cost_.weights += static_cast<std::size_t>(4 * channels * channels);
    live(5 * channels);  // x, its norm, q, k and v
  }

  void mid(std::int64_t channels) {
    residual(channels, channels);
    attention(channels);
    residual(channels, channels);
  }

  void down(std::int64_t channels, bool temporal) {
    live(2 * channels);
    height_ /= 2;
    width_ /= 2;
    conv(channels, channels, 1, 9);
    if (!temporal) return;
    frames_ = 1 + (frames_ - 1) / 2;
    if (frames_ > 1) add(channels, channels, 3, 3 * (frames_ - 1));
  }

  void up(std::int64_t channels, bool temporal) {
    if (temporal && frames_ > 1) {
      add(channels, 2 * channels, 3, seen(3, frames_ - 1));  // the first frame is left out
      frames_ = 1 + (frames_ - 1) * 2;
    }
    constexpr std::size_t kBand = std::size_t{32} << 20;  // upsample.cc
    const std::size_t before = bytes(channels), repeated = 4 * before;
    height_ *= 2;
    width_ *= 2;
    conv(channels, channels / 2, 1, 9);
    note(before + bytes(channels / 2) + std::min(kBand, repeated));
  }

  /// Activations of `channels` in all are there at once.
  void live(std::int64_t channels) { note(bytes(channels)); }

 private:
  /// Frames under one of `taps` taps, over `frames` output frames that zeros precede.
  static std::int64_t seen(std::int64_t taps, std::int64_t frames) {
    std::int64_t sum = 0;
    for (std::int64_t frame = 0; frame < frames; ++frame) sum += std::min(taps, frame + 1);
    return sum;
  }

  /// A kernel of `taps` taps, which over all frames see `seen` values of each channel per pixel.
  void add(std::int64_t in, std::int64_t out, std::int64_t taps, std::int64_t seen) {
    cost_.flop += 2.0 * static_cast<double>(in * out) * static_cast<double>(seen) *
                  static_cast<double>(height_ * width_);
    cost_.weights += static_cast<std::size_t>(in * out * taps + out);
  }

  std::size_t bytes(std::int64_t channels) const {
    const std::int64_t chunk = std::min<std::int64_t>(frames_, 4);
    return static_cast<std::size_t>(channels * chunk * height_ * width_) * element_;
  }
  void note(std::size_t there) { cost_.peak = std::max(cost_.peak, there); }

  std::int64_t frames_, height_, width_;
  std::size_t element_;
  VaeCost cost_;
};

std::int64_t channels_of(const VaeConfig& config, int level) {
  return config.base_dim * config.dim_mult[static_cast<std::size_t>(level)];
}

}  // namespace

VaeCost encode_cost(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                    std::int64_t width, std::size_t element) {
  Meter meter(frames, height, width, element);
  meter.conv(config.input_channels, config.base_dim, 3, 9);
  meter.live(config.input_channels + config.base_dim);
  std::int64_t in = config.base_dim;
  double scale = 1;
  for (int level = 0; level < config.levels(); ++level) {
    const std::int64_t out = channels_of(config, level);
    for (int i = 0; i < config.num_res_blocks; ++i, in = out) {
      meter.residual(in, out);
      if (std::find(config.attn_scales.begin(), config.attn_scales.end(), scale) !=
          config.attn_scales.end())
        meter.attention(out);
    }
    if (level + 1 == config.levels()) break;
    meter.down(out, config.temperal_downsample[static_cast<std::size_t>(level)]);
    scale /= 2;
  }
  meter.mid(in);
  meter.conv(in, 2 * config.z_dim, 3, 9);
  meter.conv(2 * config.z_dim, 2 * config.z_dim, 1, 1);
  return meter.result();
}

VaeCost decode_cost(const VaeConfig& config, std::int64_t frames, std::int64_t height,
                    std::int64_t width, std::size_t element) {
  Meter meter(frames, height, width, element);
  std::int64_t in = channels_of(config, config.levels() - 1);
  meter.conv(config.z_dim, config.z_dim, 1, 1);
  meter.conv(config.z_dim, in, 3, 9);
  meter.mid(in);
  for (int level = config.levels() - 1; level >= 0; --level) {
    const std::int64_t out = channels_of(config, level);
    for (int i = 0; i <= config.num_res_blocks; ++i, in = out) meter.residual(in, out);
    if (level == 0) break;
    meter.up(out, config.temperal_downsample[static_cast<std::size_t>(level - 1)]);
    in = out / 2;
  }
  meter.conv(in, config.input_channels, 3, 9);
  return meter.result();
}

}  // namespace annulus::qwen_image

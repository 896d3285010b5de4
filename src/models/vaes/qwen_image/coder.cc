#include "models/vaes/qwen_image/coder.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "nn/elementwise.h"

namespace annulus::qwen_image {

namespace {

constexpr std::array<std::int64_t, 3> kCube = {3, 3, 3};

/// Channels of each level, the finest first.
std::vector<std::int64_t> level_channels(const VaeConfig& config, std::int64_t base_dim) {
  std::vector<std::int64_t> channels;
  for (const std::int64_t mult : config.dim_mult) channels.push_back(mult * base_dim);
  return channels;
}

bool has_attention(const VaeConfig& config, int level) {
  const double scale = 1.0 / static_cast<double>(std::int64_t{1} << level);
  return std::find(config.attn_scales.begin(), config.attn_scales.end(), scale) !=
         config.attn_scales.end();
}

std::string resnet(int i) {
  return "resnets." + std::to_string(i);
}

ResidualDown load_residual_down(const WeightScope& w, const VaeConfig& config, int level,
                                std::int64_t in, std::int64_t out) {
  const bool last = level + 1 == config.levels();
  const bool temporal = !last && config.temperal_downsample[static_cast<std::size_t>(level)];
  ResidualDown made = {.resnets = {},
                       .downsampler = std::nullopt,
                       .shortcut = {.frames = temporal ? 2 : 1, .pixels = last ? 1 : 2},
                       .out = out};
  if (in * made.shortcut.values() % out != 0)
    throw Error(ErrorCode::CorruptFile,
                text_of(w.name(), ": wanted channels whose blocks fill those of the next level, ",
                        "found ", in, " and ", out));
  for (int i = 0; i < config.num_res_blocks; ++i, in = out)
    made.resnets.push_back(load_residual_block(w / resnet(i), in, out));
  if (!last) made.downsampler = load_downsample(w / "downsampler", out, temporal);
  return made;
}

Tensor forward(const Context& ctx, const ResidualDown& block, Tensor x, FrameCache& cache) {
  const Tensor shortcut = averaged_blocks(ctx, x, block.shortcut, block.out);
  for (const ResidualBlock& one : block.resnets) x = forward(ctx, one, std::move(x), cache);
  if (block.downsampler) x = forward(ctx, *block.downsampler, std::move(x), cache);
  add(ctx, x, shortcut);
  return x;
}

Tensor forward(const Context& ctx, const UpBlock& block, Tensor x, FrameCache& cache) {
  // The residual blocks may write where x lies; the shortcut wants it as it was.
  const Tensor before = block.shortcut ? x : Tensor();
  for (const ResidualBlock& one : block.resnets) x = forward(ctx, one, std::move(x), cache);
  if (block.upsampler) x = forward(ctx, *block.upsampler, std::move(x), cache);
  if (block.shortcut) add_repeated(ctx, before, *block.shortcut, x);
  return x;
}

}  // namespace

Encoder load_encoder(const WeightScope& w, const VaeConfig& config,
                     const AttentionSelection& selection, DType dtype) {
  const std::vector<std::int64_t> channels = level_channels(config, config.base_dim);
  Encoder encoder = {
      .conv_in = load_conv(w / "conv_in", config.input_channels, config.base_dim, kCube),
      .down_blocks = {},
      .mid_block = load_mid_block(w / "mid_block", channels.back(), selection, dtype),
      .norm_out = load_channel_norm(w / "norm_out", channels.back(), 3),
      .conv_out = load_conv(w / "conv_out", channels.back(), 2 * config.z_dim, kCube)};
  const auto next = [&] {
    return w / ("down_blocks." + std::to_string(encoder.down_blocks.size()));
  };
  std::int64_t in = config.base_dim;
  for (int level = 0; level < config.levels(); ++level) {
    const std::int64_t out = channels[static_cast<std::size_t>(level)];
    if (config.is_residual) {
      encoder.down_blocks.emplace_back(load_residual_down(next(), config, level, in, out));
      in = out;
      continue;
    }
    for (int i = 0; i < config.num_res_blocks; ++i, in = out) {
      encoder.down_blocks.emplace_back(load_residual_block(next(), in, out));
      if (has_attention(config, level))
        encoder.down_blocks.emplace_back(load_attention_block(next(), out, selection, dtype));
    }
    if (level + 1 < config.levels())
      encoder.down_blocks.emplace_back(load_downsample(
          next(), out, config.temperal_downsample[static_cast<std::size_t>(level)]));
  }
  return encoder;
}

Decoder load_decoder(const WeightScope& w, const VaeConfig& config,
                     const AttentionSelection& selection, DType dtype) {
  std::vector<std::int64_t> channels = level_channels(config, config.decoder_base_dim);
  std::reverse(channels.begin(), channels.end());
  Decoder decoder = {
      .conv_in = load_conv(w / "conv_in", config.z_dim, channels.front(), kCube),
      .mid_block = load_mid_block(w / "mid_block", channels.front(), selection, dtype),
      .up_blocks = {},
      .norm_out = load_channel_norm(w / "norm_out", channels.back(), 3),
      .conv_out = load_conv(w / "conv_out", channels.back(), config.output_channels, kCube)};
  std::int64_t in = channels.front();
  for (int level = 0; level < config.levels(); ++level) {
    const WeightScope block = w / ("up_blocks." + std::to_string(level));
    const std::int64_t out = channels[static_cast<std::size_t>(level)];
    UpBlock made;
    const bool last = level + 1 == config.levels();
    const bool temporal =
        !last && config.temperal_downsample[static_cast<std::size_t>(config.levels() - 2 - level)];
    if (config.is_residual && !last) {
      made.shortcut = {.frames = temporal ? 2 : 1, .pixels = 2};
      require(out * made.shortcut->values() % in == 0, ErrorCode::CorruptFile, block.name(),
              ": wanted channels that fill those of the next level, found ", in, " and ", out);
    }
    for (int i = 0; i <= config.num_res_blocks; ++i, in = out)
      made.resnets.push_back(load_residual_block(block / resnet(i), in, out));
    if (!last) {
      in = config.is_residual ? out : out / 2;
      made.upsampler = load_upsample(block / (config.is_residual ? "upsampler" : "upsamplers.0"),
                                     out, in, temporal);
    }
    decoder.up_blocks.push_back(std::move(made));
  }
  return decoder;
}

Tensor forward(const Context& ctx, const Encoder& encoder, Tensor x, FrameCache& cache) {
  cache.rewind();
  x = causal_conv(ctx, x, encoder.conv_in, cache);
  for (const auto& block : encoder.down_blocks) {
    if (const auto* residual = std::get_if<ResidualBlock>(&block))
      x = forward(ctx, *residual, std::move(x), cache);
    else if (const auto* attention = std::get_if<AttentionBlock>(&block))
      x = forward(ctx, *attention, std::move(x), cache.band());
    else if (const auto* level = std::get_if<ResidualDown>(&block))
      x = forward(ctx, *level, std::move(x), cache);
    else
      x = forward(ctx, std::get<Downsample>(block), std::move(x), cache);
  }
  x = forward(ctx, encoder.mid_block, std::move(x), cache);
  return norm_silu_conv(ctx, std::move(x), encoder.norm_out, encoder.conv_out, cache, ctx.wide);
}

Tensor forward(const Context& ctx, const Decoder& decoder, Tensor x, FrameCache& cache,
               const Tap& tap) {
  cache.rewind();
  x = causal_conv(ctx, x, decoder.conv_in, cache);
  if (tap) tap("dec.conv_in", x);
  x = forward(ctx, decoder.mid_block, std::move(x), cache);
  if (tap) tap("dec.mid", x);
  for (const UpBlock& block : decoder.up_blocks) x = forward(ctx, block, std::move(x), cache);
  return norm_silu_conv(ctx, std::move(x), decoder.norm_out, decoder.conv_out, cache, ctx.wide);
}

}  // namespace annulus::qwen_image

#include "models/wan/preview.h"

#include <algorithm>
#include <cmath>

#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

constexpr std::int64_t kMostLatents = 16, kMostFrames = 4;  // a side, in the sheet

/// Means of `factor` x `factor` latents of [1, 1, height, width, channels].
qwen_image::HostTensor averaged(const qwen_image::HostTensor& x, std::int64_t factor) {
  const std::int64_t height = x.shape[2], width = x.shape[3], channels = x.shape[4];
  const std::int64_t rows = (height + factor - 1) / factor, columns = (width + factor - 1) / factor;
  qwen_image::HostTensor out = {{1, 1, rows, columns, channels}, {}};
  out.values.resize(static_cast<std::size_t>(out.shape.elements()));
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t column = 0; column < width; ++column) {
      const std::int64_t row = y / factor, to = column / factor;
      const std::int64_t count =
          std::min(factor, height - row * factor) * std::min(factor, width - to * factor);
      for (std::int64_t c = 0; c < channels; ++c)
        out.values[static_cast<std::size_t>((row * columns + to) * channels + c)] +=
            x.values[static_cast<std::size_t>((y * width + column) * channels + c)] /
            static_cast<float>(count);
    }
  return out;
}

/// Puts a decoded frame beside those before it.
void append(const qwen_image::HostTensor& pixels, Image& sheet) {
  const auto width = static_cast<int>(pixels.shape[3]), height = static_cast<int>(pixels.shape[2]);
  Image wider = {sheet.width + width, height, {}};
  for (int y = 0; y < height; ++y) {
    const auto old = sheet.pixels.begin() + std::ptrdiff_t{3} * y * sheet.width;
    wider.pixels.insert(wider.pixels.end(), old, old + std::ptrdiff_t{3} * sheet.width);
    for (int i = 0; i < 3 * width; ++i) {
      const float x = pixels.values[static_cast<std::size_t>(3 * y * width + i)];
      wider.pixels.push_back(static_cast<std::uint8_t>(
          std::nearbyint(std::clamp(x * 0.5f + 0.5f, 0.0f, 1.0f) * 255.0f)));
    }
  }
  sheet = std::move(wider);
}

}  // namespace

Image contact_sheet(const Components& c, const Tensor& latents) {
  const Context& ctx = c.vae_ctx;
  const std::int64_t frames = latents.shape()[2], shown = std::min(frames, kMostFrames);
  const std::int64_t longest = std::max(latents.shape()[3], latents.shape()[4]);
  const std::int64_t factor = (longest + kMostLatents - 1) / kMostLatents;
  Image sheet;
  for (std::int64_t i = 0; i < shown; ++i) {
    const std::int64_t frame = shown > 1 ? i * (frames - 1) / (shown - 1) : 0;
    const Tensor one =
        contiguous(ctx.stream, latents.slice(2, frame, frame + 1).permute({0, 2, 3, 4, 1}));
    const Tensor z = qwen_image::denormalised(ctx, c.vae.config, one);
    const qwen_image::HostTensor small = averaged({z.shape(), to_host(ctx, z)}, factor);
    append(qwen_image::decode(ctx, c.vae, to_device(ctx, small.values, small.shape, ctx.wide), {}),
           sheet);
  }
  return sheet;
}

}  // namespace annulus::wan

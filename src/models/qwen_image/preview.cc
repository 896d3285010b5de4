#include "models/qwen_image/preview.h"

#include <algorithm>

#include "models/qwen_image/latents.h"
#include "models/qwen_image/pictures.h"
#include "nn/transfer.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kMostLatents = 16;  // a side

/// Means of `factor` x `factor` latents; what is left at the lower and right edge is averaged too.
HostTensor averaged(const HostTensor& x, std::int64_t factor) {
  const std::int64_t height = x.shape[2], width = x.shape[3], channels = x.shape[4];
  const std::int64_t rows = (height + factor - 1) / factor, columns = (width + factor - 1) / factor;
  HostTensor out = {{1, 1, rows, columns, channels}, {}};
  out.values.resize(static_cast<std::size_t>(out.shape.elements()));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t bottom = std::min(height, (row + 1) * factor),
                         right = std::min(width, (column + 1) * factor);
      const auto count = static_cast<float>((bottom - row * factor) * (right - column * factor));
      float* to = out.values.data() + (row * columns + column) * channels;
      for (std::int64_t y = row * factor; y < bottom; ++y)
        for (std::int64_t from = column * factor; from < right; ++from)
          for (std::int64_t c = 0; c < channels; ++c)
            to[c] += x.values[static_cast<std::size_t>((y * width + from) * channels + c)] / count;
    }
  return out;
}

}  // namespace

Image preview_of(const Context& ctx, const Vae& vae, const Tensor& latents, const PatchGrid& grid) {
  const Tensor z =
      denormalised(ctx, vae.config, unpacked(ctx, latents, 2 * grid.height, 2 * grid.width));
  const std::int64_t longest = std::max(z.shape()[2], z.shape()[3]);
  const std::int64_t factor = (longest + kMostLatents - 1) / kMostLatents;
  const HostTensor small = averaged({z.shape(), to_host(ctx, z)}, factor);
  return picture_of(decode(ctx, vae, to_device(ctx, small.values, small.shape, ctx.wide), {}), 0);
}

}  // namespace annulus::qwen_image

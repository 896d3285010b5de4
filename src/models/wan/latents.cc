#include "models/wan/latents.h"

#include "tensor/copy.h"

namespace annulus::wan {

Tensor packed(const Context& ctx, const Tensor& latents, const PatchSize& patch) {
  const Shape& s = latents.shape();
  require(s.rank() == 5 && s[2] % patch[0] == 0 && s[3] % patch[1] == 0 && s[4] % patch[2] == 0,
          ErrorCode::InvalidRequest, "pack: wanted [batch, channels, frames, height, width] of ",
          "whole patches ", patch[0], " x ", patch[1], " x ", patch[2], ", found ", s);
  const std::int64_t frames = s[2] / patch[0], height = s[3] / patch[1], width = s[4] / patch[2];
  const Tensor parts =
      contiguous(ctx.stream, latents)
          .reshape({s[0], s[1], frames, patch[0], height, patch[1], width, patch[2]})
          .permute({0, 2, 4, 6, 1, 3, 5, 7});
  return contiguous(ctx.stream, parts)
      .reshape({s[0], frames * height * width, s[1] * patch[0] * patch[1] * patch[2]});
}

Tensor unpacked(const Context& ctx, const Tensor& rows, const PatchSize& patch,
                const std::array<std::int64_t, 3>& size) {
  const Shape& s = rows.shape();
  const std::int64_t frames = size[0] / patch[0], height = size[1] / patch[1],
                     width = size[2] / patch[2], values = patch[0] * patch[1] * patch[2];
  require(s.rank() == 3 && s[1] == frames * height * width && s[2] % values == 0,
          ErrorCode::InvalidRequest, "unpack: wanted rows of ", size[0], " x ", size[1], " x ",
          size[2], " latents, found ", s);
  const std::int64_t channels = s[2] / values;
  const Tensor parts =
      contiguous(ctx.stream, rows)
          .reshape({s[0], frames, height, width, channels, patch[0], patch[1], patch[2]})
          .permute({0, 4, 1, 5, 2, 6, 3, 7});
  return contiguous(ctx.stream, parts).reshape({s[0], channels, size[0], size[1], size[2]});
}

Tensor channels_first(const Context& ctx, const Tensor& rows, std::int64_t channels) {
  const Shape& s = rows.shape();
  const Tensor parts = rows.reshape({s[0], s[1], s[2] / channels, channels}).permute({0, 1, 3, 2});
  return contiguous(ctx.stream, parts).reshape(s);
}

}  // namespace annulus::wan

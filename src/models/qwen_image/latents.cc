#include "models/qwen_image/latents.h"

#include "tensor/copy.h"

namespace annulus::qwen_image {

Tensor packed(const Context& ctx, const Tensor& latents) {
  const Shape& s = latents.shape();
  require(s.rank() == 5 && s[1] == 1 && s[2] % 2 == 0 && s[3] % 2 == 0, ErrorCode::InvalidRequest,
          "pack: wanted latents [batch, 1, even, even, channels], found ", s);
  const Tensor parts = contiguous(ctx.stream, latents)
                           .reshape({s[0], s[2] / 2, 2, s[3] / 2, 2, s[4]})
                           .permute({0, 1, 3, 5, 2, 4});
  return contiguous(ctx.stream, parts).reshape({s[0], s[2] / 2 * (s[3] / 2), s[4] * 4});
}

Tensor unpacked(const Context& ctx, const Tensor& patches, std::int64_t height,
                std::int64_t width) {
  const Shape& s = patches.shape();
  require(s.rank() == 3 && height % 2 == 0 && width % 2 == 0 && s[1] == height / 2 * (width / 2) &&
              s[2] % 4 == 0,
          ErrorCode::InvalidRequest, "unpack: wanted patches of ", height, " x ", width,
          " latents, found ", s);
  const Tensor parts = contiguous(ctx.stream, patches)
                           .reshape({s[0], height / 2, width / 2, s[2] / 4, 2, 2})
                           .permute({0, 1, 4, 2, 5, 3});
  return contiguous(ctx.stream, parts).reshape({s[0], 1, height, width, s[2] / 4});
}

}  // namespace annulus::qwen_image

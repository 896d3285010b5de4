#include "models/wan/conditions.h"

#include <algorithm>
#include <cmath>

#include "io/image_resize.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus::wan {

namespace {

constexpr std::int64_t kFramesPerLatent = 4;

/// A picture in the video's size: [1, 1, height, width, 3] in [-1, 1], wide.
Tensor pixels_of(const Context& ctx, const Request& request, const Image& picture) {
  const bool fits = picture.width == request.width && picture.height == request.height;
  const Image image =
      fits ? picture
           : resize_like_pillow(picture, static_cast<int>(request.width),
                                static_cast<int>(request.height), ResizeFilter::Lanczos);
  std::vector<float> values(image.pixels.size());
  std::transform(image.pixels.begin(), image.pixels.end(), values.begin(),
                 [](std::uint8_t x) { return 2.0f * (static_cast<float>(x) / 255.0f) - 1.0f; });
  return to_device(ctx, values, {1, 1, image.height, image.width, 3}, ctx.wide);
}

Tensor image_embeds(const Components& c, const Request& request) {
  if (!c.image_encoder) return {};
  std::vector<const Image*> pictures;
  for (const auto& picture : request.images) pictures.push_back(picture.get());
  const Tensor rows = clip_vision::encode(c.image_ctx, *c.image_encoder, *c.image_processor,
                                          pictures);  // [pictures, rows, hidden]
  const Shape& s = rows.shape();
  return contiguous(c.image_ctx.stream, rows).reshape({1, s[0] * s[1], s[2]});
}

/// [1, 4, frames, height, width]: is this frame of pixels of a latent frame given?
Tensor given_flags(const Context& ctx, const LatentSize& size, bool last) {
  std::vector<float> flags;
  const std::int64_t pixels = size.height * size.width;
  for (std::int64_t part = 0; part < kFramesPerLatent; ++part)
    for (std::int64_t frame = 0; frame < size.frames; ++frame) {
      const bool given =
          frame == 0 || (last && frame + 1 == size.frames && part + 1 == kFramesPerLatent);
      flags.insert(flags.end(), static_cast<std::size_t>(pixels), given ? 1.0f : 0.0f);
    }
  return to_device(ctx, flags, {1, kFramesPerLatent, size.frames, size.height, size.width},
                   ctx.wide);
}

}  // namespace

Conditions encode_conditions(const Components& c, const Request& request,
                             const std::optional<qwen_image::Tiling>& tiling,
                             const Progress& progress) {
  if (request.images.empty()) return {};
  const Context& ctx = c.vae_ctx;
  const Tensor first = pixels_of(ctx, request, *request.images.front());
  const Tensor last =
      request.images.size() > 1 ? pixels_of(ctx, request, *request.images.back()) : Tensor();
  // The frames that are not given are grey.
  const std::int64_t frames = c.expand_timesteps ? 1 : request.frames;
  const auto source = [&](std::int64_t begin, std::int64_t end) {
    Tensor chunk =
        Tensor::empty({1, end - begin, request.height, request.width, 3}, ctx.wide, ctx.device);
    ctx.device.fill(ctx.stream, chunk, 0);
    const auto put = [&](const Tensor& picture, std::int64_t at) {
      if (!picture.defined() || at < begin || at >= end) return;
      Tensor place = chunk.slice(1, at - begin, at - begin + 1);
      copy(ctx.stream, picture, place);
    };
    put(first, 0);
    put(last, frames - 1);
    return chunk;
  };
  const qwen_image::HostTensor moments =
      qwen_image::encode_video(ctx, c.vae, {1, frames, request.height, request.width, 3}, source,
                               tiling, progress, &ctx.mesh.world());
  for (const float x : moments.values)
    require(std::isfinite(x), ErrorCode::NonFinite,
            "encode: wanted finite numbers, found NaN or Inf in the latents of a picture");
  const Tensor mean =
      to_device(ctx, moments.values, moments.shape, ctx.wide).slice(4, 0, c.vae.config.z_dim);
  const Tensor latents = qwen_image::normalised(ctx, c.vae.config, mean).permute({0, 4, 1, 2, 3});
  Conditions made = {.image_embeds = image_embeds(c, request), .latents = {}};
  if (c.expand_timesteps) {
    made.latents = contiguous(ctx.stream, latents);
    return made;
  }
  const LatentSize size = latent_size(c, request);
  made.latents = Tensor::empty(
      {1, kFramesPerLatent + c.vae.config.z_dim, size.frames, size.height, size.width}, ctx.wide,
      ctx.device);
  Tensor head = made.latents.slice(1, 0, kFramesPerLatent),
         tail = made.latents.slice(1, kFramesPerLatent, made.latents.shape()[1]);
  copy(ctx.stream, given_flags(ctx, size, last.defined()), head);
  copy(ctx.stream, latents, tail);
  return made;
}

}  // namespace annulus::wan

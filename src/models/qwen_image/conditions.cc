#include "models/qwen_image/conditions.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "io/image_resize.h"
#include "models/qwen_image/latents.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kStep = 32;  // pixels between sizes of condition pictures
constexpr std::int64_t kManyPictures = 64;

constexpr std::array<Variant, 3> kVariants = {{
    {.class_name = "QwenImagePipeline",
     .chat = qwen2_5_vl::PromptTemplate::TextToImage,
     .max_sequence_length = 512},
    {.class_name = "QwenImageEditPipeline",
     .chat = qwen2_5_vl::PromptTemplate::Edit,
     .least_pictures = 1,
     .most_pictures = 1},
    {.class_name = "QwenImageEditPlusPipeline",
     .chat = qwen2_5_vl::PromptTemplate::EditPlus,
     .least_pictures = 1,
     .most_pictures = kManyPictures,
     .text_area = 384 * 384},
}};

PictureSize size_of(const Image& image) {
  return {image.width, image.height};
}

Image resized(const Image& image, PictureSize size) {
  if (size_of(image) == size) return image;
  return resize_like_pillow(image, static_cast<int>(size.width), static_cast<int>(size.height),
                            ResizeFilter::Lanczos);
}

/// Bytes to [1, 1, height, width, 3] in [-1, 1], wide.
Tensor pixels_of(const Context& ctx, const Image& image) {
  std::vector<float> values(image.pixels.size());
  std::transform(image.pixels.begin(), image.pixels.end(), values.begin(),
                 [](std::uint8_t x) { return 2.0f * (static_cast<float>(x) / 255.0f) - 1.0f; });
  return to_device(ctx, values, {1, 1, image.height, image.width, 3}, ctx.wide);
}

/// Packed, normalised latents [1, rows, in_channels] of a picture.
Tensor latents_of(const Components& components, const Image& image,
                  const std::optional<Tiling>& tiling, const Progress& progress) {
  const Context& ctx = components.vae_ctx;
  Communicator* const ranks = ctx.row_block > 0 ? nullptr : &ctx.mesh.world();
  const HostTensor moments =
      encode(ctx, components.vae, pixels_of(ctx, image), tiling, progress, ranks);
  for (const float x : moments.values)
    require(std::isfinite(x), ErrorCode::NonFinite,
            "encode: wanted finite numbers, found NaN or Inf in the latents of a picture");
  const Tensor mean = to_device(ctx, moments.values, moments.shape, ctx.wide)
                          .slice(4, 0, components.vae.config.z_dim);
  return packed(ctx, normalised(ctx, components.vae.config, mean));
}

}  // namespace

std::span<const Variant> variants() noexcept {
  return kVariants;
}

PictureSize size_near(std::int64_t area, PictureSize picture) {
  const double ratio = static_cast<double>(picture.width) / static_cast<double>(picture.height);
  const double width = std::sqrt(static_cast<double>(area) * ratio), height = width / ratio;
  const auto rounded = [](double pixels) {  // halves to even, as Python
    return static_cast<std::int64_t>(std::nearbyint(pixels / static_cast<double>(kStep))) * kStep;
  };
  const PictureSize size = {rounded(width), rounded(height)};
  require(size.width > 0 && size.height > 0, ErrorCode::InvalidRequest,
          "condition picture: wanted sides that differ less, found ", picture.width, "x",
          picture.height);
  return size;
}

ConditionSizes condition_sizes(const Components& components, const Variant& variant,
                               const Request& request) {
  ConditionSizes sizes;
  const std::int64_t unit = size_unit(components);
  for (const auto& image : request.images) {
    const PictureSize vae = size_near(variant.vae_area, size_of(*image));
    const PictureSize text =
        variant.text_area == 0 ? vae : size_near(variant.text_area, size_of(*image));
    sizes.vae.push_back(vae);
    sizes.text.push_back(text);
    sizes.grids.push_back(
        qwen2_5_vl::grid_of(*components.image_processor, {text.height, text.width}));
    sizes.patches.push_back({1, vae.height / unit, vae.width / unit});
  }
  return sizes;
}

Conditions encode_conditions(const Components& components, const Variant& variant,
                             const Request& request, const std::optional<Tiling>& tiling,
                             const Progress& progress) {
  Conditions made;
  if (request.images.empty()) return made;
  const ConditionSizes sizes = condition_sizes(components, variant, request);
  const Context& ctx = components.vae_ctx;
  std::int64_t rows = 0, row = 0;
  for (const PatchGrid& grid : sizes.patches) rows += grid.tokens();
  made.latents =
      Tensor::empty({1, rows, components.transformer.config.in_channels}, ctx.wide, ctx.device);
  std::vector<std::shared_ptr<const Image>> for_text;
  for (std::size_t i = 0; i < request.images.size(); ++i) {
    const Image for_vae = resized(*request.images[i], sizes.vae[i]);
    const Tensor latents = latents_of(components, for_vae, tiling, progress);
    Tensor to = made.latents.slice(1, row, row + latents.shape()[1]);
    copy(ctx.stream, latents, to);
    row += latents.shape()[1];
    // The one-picture class shows the text encoder what it shows the autoencoder.
    for_text.push_back(std::make_shared<const Image>(
        variant.text_area == 0 ? for_vae : resized(*request.images[i], sizes.text[i])));
  }
  made.features = qwen2_5_vl::encode_images(components.text_ctx, components.text_encoder,
                                            *components.image_processor, for_text);
  return made;
}

}  // namespace annulus::qwen_image

#include "models/qwen_image/transformer_config.h"

#include <string>
#include <string_view>
#include <vector>

namespace annulus::qwen_image {

namespace {

// Far above any model, low enough that no product of them overflows.
constexpr std::int64_t kMostChannels = 1 << 20, kMostLayers = 4096, kMostHeads = 4096,
                       kMostHeadDim = 4096;

std::int64_t size(const Json& json, std::string_view key, std::int64_t fallback,
                  std::int64_t most) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("an integer in 1 ... ", most));
  return value;
}

}  // namespace

TransformerConfig read_transformer_config(const Json& json) {
  TransformerConfig c;
  c.patch_size = size(json, "patch_size", c.patch_size, 64);
  c.in_channels = size(json, "in_channels", c.in_channels, kMostChannels);
  const bool as_many_out = json.has("out_channels") && json["out_channels"].is_null();
  c.out_channels =
      as_many_out ? c.in_channels : size(json, "out_channels", c.out_channels, kMostChannels);
  c.num_layers = static_cast<int>(size(json, "num_layers", c.num_layers, kMostLayers));
  c.attention_head_dim = size(json, "attention_head_dim", c.attention_head_dim, kMostHeadDim);
  c.num_attention_heads = size(json, "num_attention_heads", c.num_attention_heads, kMostHeads);
  c.joint_attention_dim = size(json, "joint_attention_dim", c.joint_attention_dim, kMostChannels);
  c.guidance_embeds = json.get<bool>("guidance_embeds", c.guidance_embeds);
  c.zero_cond_t = json.get<bool>("zero_cond_t", c.zero_cond_t);
  c.use_additional_t_cond = json.get<bool>("use_additional_t_cond", c.use_additional_t_cond);
  c.use_layer3d_rope = json.get<bool>("use_layer3d_rope", c.use_layer3d_rope);

  if (const std::optional<Json> axes = json.find("axes_dims_rope")) {
    const auto dims = axes->as<std::vector<std::int64_t>>();
    if (dims.size() != 3) axes->fail("three sizes");
    for (std::size_t i = 0; i < 3; ++i) c.axes_dims_rope[i] = dims[i];
  }
  std::int64_t turned = 0;
  for (const std::int64_t dim : c.axes_dims_rope) {
    if (dim < 0 || dim > kMostHeadDim || dim % 2 != 0)
      json["axes_dims_rope"].fail("even sizes that are not negative");
    turned += dim;
  }
  if (turned != c.attention_head_dim)
    json.fail(text_of("axes_dims_rope that add up to attention_head_dim = ", c.attention_head_dim),
              text_of(turned));
  return c;
}

}  // namespace annulus::qwen_image

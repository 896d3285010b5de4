#include "models/encoders/clip_vision/encoder.h"

namespace annulus::clip_vision {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 20;  // products of two stay far below 2^63

std::int64_t size(const Json& json, std::string_view key, std::int64_t fallback,
                  std::int64_t most = kLargest) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("a whole number from 1 to ", most));
  return value;
}

std::array<double, 3> colours(const Json& json, std::string_view key,
                              const std::array<double, 3>& fallback) {
  const std::optional<Json> member = json.find(key);
  if (!member) return fallback;
  const auto values = member->as<std::vector<double>>();
  if (values.size() != 3) member->fail("three numbers");
  return {values[0], values[1], values[2]};
}

}  // namespace

Config read_config(const Json& json) {
  if (const std::optional<Json> inner = json.find("vision_config")) return read_config(*inner);
  Config c;
  c.hidden_size = size(json, "hidden_size", c.hidden_size);
  c.intermediate_size = size(json, "intermediate_size", c.intermediate_size);
  c.num_attention_heads = size(json, "num_attention_heads", c.num_attention_heads, 1024);
  c.num_hidden_layers =
      static_cast<int>(size(json, "num_hidden_layers", c.num_hidden_layers, 1024));
  c.image_size = size(json, "image_size", c.image_size, 1 << 14);
  c.patch_size = size(json, "patch_size", c.patch_size, c.image_size);
  if (c.hidden_size % c.num_attention_heads != 0)
    json.fail("a hidden_size that num_attention_heads divides");
  if (size(json, "num_channels", 3) != 3) json["num_channels"].fail("3");
  const auto act = json.get<std::string>("hidden_act", "quick_gelu");
  require(act == "quick_gelu" || act == "gelu", ErrorCode::Unsupported,
          "hidden_act: wanted quick_gelu or gelu, found ", act, " (", json.where(), ")");
  c.hidden_act = act == "gelu" ? Activation::GeluErf : Activation::QuickGelu;
  c.layer_norm_eps = json.get<float>("layer_norm_eps", c.layer_norm_eps);
  if (!(c.layer_norm_eps >= 0 && c.layer_norm_eps < 1))
    json["layer_norm_eps"].fail("a number from 0 to 1");
  return c;
}

ImageProcessor read_image_processor(const Json& json) {
  ImageProcessor p;
  if (const std::optional<Json> edge = json.find("size"))
    p.shortest_edge = edge->is_object() ? size(*edge, "shortest_edge", p.shortest_edge)
                                        : size(json, "size", p.shortest_edge);
  if (const std::optional<Json> crop = json.find("crop_size")) {
    p.crop_height = crop->is_object() ? size(*crop, "height", p.crop_height)
                                      : size(json, "crop_size", p.crop_height);
    p.crop_width = crop->is_object() ? size(*crop, "width", p.crop_width) : p.crop_height;
  }
  if (p.crop_height > p.shortest_edge || p.crop_width > p.shortest_edge)
    json.fail("a crop_size of at most size.shortest_edge");
  p.image_mean = colours(json, "image_mean", p.image_mean);
  p.image_std = colours(json, "image_std", p.image_std);
  for (const double deviation : p.image_std)
    if (!(deviation > 0)) json["image_std"].fail("three numbers above 0");
  for (const char* step : {"do_resize", "do_center_crop", "do_rescale", "do_normalize"})
    require(json.get<bool>(step, true), ErrorCode::Unsupported, step,
            ": wanted true, found false (", json.where(), ")");
  require(json.get<int>("resample", 3) == 3, ErrorCode::Unsupported,
          "resample: wanted 3 (bicubic), found another (", json.where(), ")");
  return p;
}

}  // namespace annulus::clip_vision

#include "models/encoders/qwen2_5_vl/config.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/error.h"

namespace annulus::qwen2_5_vl {

namespace {

constexpr int kMostLayers = 1024;
constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;  // products of two stay far below 2^63

/// The member of that name, between 1 and `most`.
std::int64_t size_of(const Json& json, std::string_view key, std::int64_t fallback,
                     std::int64_t most = kLargestSize) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most)
    json[key].fail(text_of("a whole number from 1 to ", most), text_of(value));
  return value;
}

double positive(const Json& json, std::string_view key, double fallback) {
  const auto value = json.get<double>(key, fallback);
  if (!(value > 0) || !std::isfinite(value)) json[key].fail("a positive number", text_of(value));
  return value;
}

/// As `positive`, but zero is fine too.
float epsilon(const Json& json, std::string_view key, double fallback) {
  const auto value = json.get<double>(key, fallback);
  if (!(value >= 0 && value < 1)) json[key].fail("a number from 0 to 1", text_of(value));
  return static_cast<float>(value);
}

void check_activation(const Json& json) {
  const auto name = json.get<std::string>("hidden_act", "silu");
  if (name != "silu") json["hidden_act"].fail("\"silu\"", name);
}

/// Throws when `whole` (the value of `key`) is not a multiple of `part`.
void check_divides(const Json& json, std::string_view key, std::int64_t whole, std::int64_t part,
                   std::string_view part_key) {
  if (whole % part == 0) return;
  const std::string wanted = text_of("a multiple of ", part_key, " ", part);
  if (json.has(key)) json[key].fail(wanted, text_of(whole));
  json.fail(text_of(key, " as ", wanted), text_of(whole));
}

/// Rotary parameters: `rope_scaling` (hub) or `rope_parameters` (transformers 5), theta inside or
/// beside them.
void read_rope(const Json& json, TextConfig& text) {
  std::optional<Json> rope = json.find("rope_scaling");
  if (!rope) rope = json.find("rope_parameters");
  text.rope_theta = positive(json, "rope_theta", text.rope_theta);
  text.mrope_section = {16, 24, 24};
  if (rope) {
    text.rope_theta = positive(*rope, "rope_theta", text.rope_theta);
    const auto type =
        rope->get<std::string>("rope_type", rope->get<std::string>("type", "default"));
    if (type != "default" && type != "mrope")
      rope->fail("rope_type \"default\" or \"mrope\"", text_of("\"", type, "\""));
    if (rope->find("mrope_section"))
      text.mrope_section = rope->get<std::vector<std::int64_t>>("mrope_section");
  }
  std::int64_t pairs = 0;
  bool fits = text.mrope_section.size() <= 64;
  for (const std::int64_t section : text.mrope_section) {
    fits = fits && section >= 0 && section <= text.head_dim;
    if (fits) pairs += section;
  }
  if (!fits || 2 * pairs != text.head_dim)
    (rope && rope->find("mrope_section") ? (*rope)["mrope_section"] : json)
        .fail(text_of("an mrope_section that adds up to half of head_dim ", text.head_dim));
}

/// Which layers see a window only: `layer_types`, or those from `max_window_layers` on.
void read_windows(const Json& json, TextConfig& text) {
  const auto layers = static_cast<std::size_t>(text.num_hidden_layers);
  const bool used = json.get<bool>("use_sliding_window", false);
  const bool null = json.has("sliding_window") && !json.find("sliding_window");
  const std::int64_t window =
      used && !null ? size_of(json, "sliding_window", 4096, std::int64_t{1} << 40) : 0;
  text.sliding_window.assign(layers, 0);
  if (const std::optional<Json> types = json.find("layer_types")) {
    if (types->size() != layers)
      types->fail(text_of(layers, " entries, one per layer"), text_of(types->size()));
    for (std::size_t i = 0; i < layers; ++i) {
      const auto type = types->at(i).as<std::string>();
      if (type == "full_attention") continue;
      if (type != "sliding_attention")
        types->at(i).fail("\"full_attention\" or \"sliding_attention\"");
      if (window == 0) types->at(i).fail("use_sliding_window and sliding_window beside it");
      text.sliding_window[i] = window;
    }
  } else if (window != 0) {
    const auto first = json.get<std::int64_t>("max_window_layers", 80);
    for (std::size_t i = 0; i < layers; ++i)
      if (static_cast<std::int64_t>(i) >= first) text.sliding_window[i] = window;
  }
}

TextConfig read_text(const Json& json) {
  TextConfig text;
  text.vocab_size = size_of(json, "vocab_size", 152064);
  text.hidden_size = size_of(json, "hidden_size", 8192);
  text.intermediate_size = size_of(json, "intermediate_size", 29568);
  text.num_hidden_layers = static_cast<int>(size_of(json, "num_hidden_layers", 80, kMostLayers));
  text.num_attention_heads = size_of(json, "num_attention_heads", 64);
  // Absent: the class's default; null: one per query head.
  text.num_key_value_heads = size_of(
      json, "num_key_value_heads", json.has("num_key_value_heads") ? text.num_attention_heads : 8);
  text.max_position_embeddings = size_of(json, "max_position_embeddings", 32768);
  text.rms_norm_eps = epsilon(json, "rms_norm_eps", 1e-5);
  check_activation(json);
  check_divides(json, "hidden_size", text.hidden_size, 2 * text.num_attention_heads,
                "2 * num_attention_heads =");
  check_divides(json, "num_attention_heads", text.num_attention_heads, text.num_key_value_heads,
                "num_key_value_heads");
  text.head_dim = text.hidden_size / text.num_attention_heads;
  if (json.get<std::int64_t>("head_dim", text.head_dim) != text.head_dim)
    json["head_dim"].fail(text_of("hidden_size / num_attention_heads = ", text.head_dim));
  read_rope(json, text);
  read_windows(json, text);
  return text;
}

VisionConfig read_vision(const Json& json, std::int64_t text_hidden) {
  VisionConfig vision;
  vision.depth = static_cast<int>(size_of(json, "depth", 32, kMostLayers));
  vision.hidden_size = size_of(json, "hidden_size", 3584);
  vision.intermediate_size = size_of(json, "intermediate_size", 3420);
  vision.num_heads = size_of(json, "num_heads", 16);
  vision.out_hidden_size = size_of(json, "out_hidden_size", 3584);
  vision.in_channels = size_of(json, "in_channels", 3, 3);
  vision.patch_size = size_of(json, "patch_size", 14, 1024);
  vision.temporal_patch_size = size_of(json, "temporal_patch_size", 2, 64);
  vision.spatial_merge_size = size_of(json, "spatial_merge_size", 2, 64);
  vision.window_size = size_of(json, "window_size", 112);
  check_activation(json);
  check_divides(json, "hidden_size", vision.hidden_size, 4 * vision.num_heads, "4 * num_heads =");
  if (vision.in_channels != 3) json["in_channels"].fail("3");
  if (vision.out_hidden_size != text_hidden)
    json.fail(text_of("out_hidden_size ", text_hidden, ", the language model's hidden_size"),
              text_of(vision.out_hidden_size));
  if (vision.window() < 1)
    json.fail("a window_size of at least patch_size * spatial_merge_size",
              text_of(vision.window_size));
  if (const std::optional<Json> rope = json.find("rope_parameters")) {
    vision.rope_theta = positive(*rope, "rope_theta", vision.rope_theta);
    const auto type = rope->get<std::string>("rope_type", "axial");
    if (type != "axial") (*rope)["rope_type"].fail("\"axial\"");
  }
  const std::vector<std::int64_t> full =
      json.find("fullatt_block_indexes")
          ? json.get<std::vector<std::int64_t>>("fullatt_block_indexes")
          : std::vector<std::int64_t>{7, 15, 23, 31};
  for (int i = 0; i < vision.depth; ++i)
    vision.full_attention.push_back(std::find(full.begin(), full.end(), i) != full.end());
  return vision;
}

}  // namespace

Config read_config(const Json& json) {
  Config config;
  const std::optional<Json> nested = json.find("text_config");
  config.text = read_text(nested ? *nested : json);
  if (const std::optional<Json> vision = json.find("vision_config"))
    config.vision = read_vision(*vision, config.text.hidden_size);
  config.image_token_id = json.get<std::int32_t>("image_token_id", config.image_token_id);
  if (config.vision && config.image_token_id < 0) json["image_token_id"].fail("a token id");
  config.tie_word_embeddings = json.get<bool>("tie_word_embeddings", false) ||
                               (nested && nested->get<bool>("tie_word_embeddings", false));
  return config;
}

}  // namespace annulus::qwen2_5_vl

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "io/json.h"

namespace annulus::qwen2_5_vl {

/// The language model, under the names of text_encoder/config.json.
struct TextConfig {
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  std::int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  int num_hidden_layers = 0;
  std::int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-5f;
  double rope_theta = 1e6;
  /// Rotary pairs turned by the time, height and width position of a token, in turn and repeating;
  /// they add up to head_dim / 2.
  std::vector<std::int64_t> mrope_section;
  /// Per layer: keys that a query sees, itself included; 0: all before it.
  std::vector<std::int64_t> sliding_window;
};

/// The vision tower, under the names of vision_config.
struct VisionConfig {
  int depth = 0;
  std::int64_t hidden_size = 0, intermediate_size = 0, num_heads = 0, out_hidden_size = 0;
  std::int64_t in_channels = 3, patch_size = 14, temporal_patch_size = 2, spatial_merge_size = 2;
  std::int64_t window_size = 112;  // pixels
  double rope_theta = 1e4;
  std::vector<bool>
      full_attention;  // per block (fullatt_block_indexes): whole pictures, else windows

  std::int64_t head_dim() const noexcept { return hidden_size / num_heads; }
  std::int64_t patch_values() const noexcept {
    return in_channels * temporal_patch_size * patch_size * patch_size;
  }
  std::int64_t merge_unit() const noexcept { return spatial_merge_size * spatial_merge_size; }
  /// Edge of a window in merged patches.
  std::int64_t window() const noexcept { return window_size / spatial_merge_size / patch_size; }
};

struct Config {
  TextConfig text;
  std::optional<VisionConfig> vision;  // nothing: a text-only checkpoint
  std::int32_t image_token_id = 151655;
  bool tie_word_embeddings = false;
};

/// Reads a flat config.json (hub style) or one with text_config (transformers 5). Throws
/// CorruptFile naming key and file when a value is absent, out of range, contradicts another or
/// asks for what is not built.
Config read_config(const Json& json);

}  // namespace annulus::qwen2_5_vl

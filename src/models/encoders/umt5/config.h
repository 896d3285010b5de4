#pragma once

#include <cstdint>

#include "io/json.h"

namespace annulus::umt5 {

/// The encoder, under the names of text_encoder/config.json.
struct Config {
  std::int64_t vocab_size = 250112, d_model = 512, d_kv = 64, d_ff = 1024;
  int num_layers = 8;
  std::int64_t num_heads = 6;
  std::int64_t relative_attention_num_buckets = 32, relative_attention_max_distance = 128;
  float layer_norm_epsilon = 1e-6f;

  std::int64_t inner() const noexcept { return num_heads * d_kv; }
};

/// Reads text_encoder/config.json; absent values take the defaults of UMT5Config in transformers.
/// Throws CorruptFile naming key and file when a value is out of range, Unsupported for a
/// feed-forward layer without a gate or with another activation.
Config read_config(const Json& json);

}  // namespace annulus::umt5

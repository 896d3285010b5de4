#include "models/encoders/umt5/config.h"

namespace annulus::umt5 {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 22;  // products of two stay far below 2^63

std::int64_t size(const Json& json, std::string_view key, std::int64_t fallback,
                  std::int64_t most = kLargest) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("a whole number from 1 to ", most));
  return value;
}

}  // namespace

Config read_config(const Json& json) {
  Config c;
  c.vocab_size = size(json, "vocab_size", c.vocab_size);
  c.d_model = size(json, "d_model", c.d_model);
  c.d_kv = size(json, "d_kv", c.d_kv);
  c.d_ff = size(json, "d_ff", c.d_ff);
  c.num_layers = static_cast<int>(size(json, "num_layers", c.num_layers, 1024));
  c.num_heads = size(json, "num_heads", c.num_heads, 1024);
  c.relative_attention_num_buckets =
      size(json, "relative_attention_num_buckets", c.relative_attention_num_buckets);
  c.relative_attention_max_distance =
      size(json, "relative_attention_max_distance", c.relative_attention_max_distance);
  if (c.relative_attention_num_buckets % 4 != 0)  // both directions, near and far
    json["relative_attention_num_buckets"].fail("a multiple of 4");
  if (c.relative_attention_max_distance <= c.relative_attention_num_buckets / 4)
    json.fail("relative_attention_max_distance above a quarter of the buckets");
  const auto eps = json.get<double>("layer_norm_epsilon", double{c.layer_norm_epsilon});
  if (!(eps >= 0 && eps < 1)) json["layer_norm_epsilon"].fail("a number from 0 to 1");
  c.layer_norm_epsilon = static_cast<float>(eps);
  const auto kind = json.get<std::string>("feed_forward_proj", "gated-gelu");
  require(kind == "gated-gelu", ErrorCode::Unsupported,
          "feed_forward_proj: wanted gated-gelu, found ", kind, " (", json.where(), ")");
  return c;
}

}  // namespace annulus::umt5

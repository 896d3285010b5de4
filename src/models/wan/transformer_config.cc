#include "models/wan/transformer_config.h"

namespace annulus::wan {

namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 22;  // products of two stay far below 2^63

std::int64_t size(const Json& json, std::string_view key, std::int64_t fallback,
                  std::int64_t most = kLargest) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("a whole number from 1 to ", most));
  return value;
}

std::optional<std::int64_t> optional_size(const Json& json, std::string_view key) {
  return json.find(key) ? std::optional(size(json, key, 0)) : std::nullopt;
}

}  // namespace

TransformerConfig read_transformer_config(const Json& json) {
  TransformerConfig c;
  if (const std::optional<Json> patch = json.find("patch_size")) {
    const auto sizes = patch->as<std::vector<std::int64_t>>();
    if (sizes.size() != 3) patch->fail("latents along frames, height and width");
    for (std::size_t i = 0; i < 3; ++i) {
      if (sizes[i] < 1 || sizes[i] > 16) patch->fail("numbers from 1 to 16");
      c.patch_size[i] = sizes[i];
    }
    if (c.patch_size[0] != 1) patch->fail("patches of one frame");
  }
  c.num_attention_heads = size(json, "num_attention_heads", c.num_attention_heads, 1024);
  c.attention_head_dim = size(json, "attention_head_dim", c.attention_head_dim, 1024);
  if (c.attention_head_dim % 2 != 0 || c.attention_head_dim < 6)
    json["attention_head_dim"].fail("an even number from 6 on");
  c.in_channels = size(json, "in_channels", c.in_channels, 1 << 16);
  c.out_channels = size(json, "out_channels", c.in_channels, 1 << 16);
  c.text_dim = size(json, "text_dim", c.text_dim);
  c.freq_dim = size(json, "freq_dim", c.freq_dim, 1 << 16);
  if (c.freq_dim % 2 != 0) json["freq_dim"].fail("an even number");
  c.ffn_dim = size(json, "ffn_dim", c.ffn_dim);
  c.num_layers = static_cast<int>(size(json, "num_layers", c.num_layers, 1024));
  c.cross_attn_norm = json.get<bool>("cross_attn_norm", c.cross_attn_norm);
  const auto eps = json.get<double>("eps", double{c.eps});
  if (!(eps >= 0 && eps < 1)) json["eps"].fail("a number from 0 to 1");
  c.eps = static_cast<float>(eps);
  c.image_dim = optional_size(json, "image_dim");
  c.added_kv_proj_dim = optional_size(json, "added_kv_proj_dim");
  c.pos_embed_seq_len = optional_size(json, "pos_embed_seq_len");
  if (c.image_dim.has_value() != c.added_kv_proj_dim.has_value() ||
      (c.added_kv_proj_dim && *c.added_kv_proj_dim != c.hidden()))
    json.fail("image_dim and added_kv_proj_dim both or neither, the latter as heads * head_dim");
  c.rope_max_seq_len = size(json, "rope_max_seq_len", c.rope_max_seq_len);
  const auto norm = json.get<std::string>("qk_norm", "rms_norm_across_heads");
  require(norm == "rms_norm_across_heads", ErrorCode::Unsupported,
          "qk_norm: wanted rms_norm_across_heads, found ", norm, " (", json.where(), ")");
  return c;
}

}  // namespace annulus::wan

#include <algorithm>
#include <array>
#include <utility>

#include "io/lora.h"

namespace annulus {

namespace {

using Part = LoraKey::Part;

bool remove_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool remove_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

/// Splits "X.lora_A.weight" or "X.lora_A.default.weight" into X and the part.
std::optional<Part> remove_peft_suffix(std::string_view& name) {
  if (!remove_suffix(name, ".weight")) return std::nullopt;
  for (const auto& [marker, part] :
       {std::pair{std::string_view(".lora_A"), Part::A}, {".lora_B", Part::B}}) {
    if (remove_suffix(name, marker)) return part;
    const std::size_t at = name.rfind('.');
    if (at == std::string_view::npos || !name.substr(0, at).ends_with(marker)) continue;
    name.remove_suffix(name.size() - at + marker.size());
    return part;
  }
  return std::nullopt;
}

}  // namespace

std::optional<LoraKey> parse_lora_key(std::string_view name) {
  LoraKey key;
  // Prefixes stand at the front in any order: PEFT wraps models that savers wrap again.
  constexpr std::array<std::string_view, 4> kPrefixes = {
      "transformer.", "base_model.model.", "diffusion_model.", "model.diffusion_model."};
  while (std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view p) { return remove_prefix(name, p); })) {
  }
  key.flat = remove_prefix(name, "lora_unet_") || remove_prefix(name, "lora_transformer_");

  constexpr std::array<std::pair<std::string_view, Part>, 7> kSuffixes = {{
      {".lora_down.weight", Part::A},
      {".lora_up.weight", Part::B},
      {".alpha", Part::Alpha},
      {".lora.down.weight", Part::A},
      {".lora.up.weight", Part::B},
      {"_lora.down.weight", Part::A},
      {"_lora.up.weight", Part::B},
  }};
  std::string_view module = name;
  std::optional<Part> part;
  for (const auto& [suffix, meaning] : kSuffixes)
    if (!part && remove_suffix(module, suffix)) part = meaning;
  if (!part) part = remove_peft_suffix(module);
  if (!part || module.empty()) return std::nullopt;
  key.part = *part;
  key.module = module;
  // Attention processors of older diffusers: to_out was a list of projection and dropout.
  if (name.substr(module.size()).starts_with("_lora.") && module.ends_with("to_out"))
    key.module += ".0";
  return key;
}

}  // namespace annulus

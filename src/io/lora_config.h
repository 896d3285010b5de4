// The PEFT configuration that diffusers stores in a LoRA file's metadata. Private to lora.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/safetensors.h"

namespace annulus {

/// The part of PEFT's LoraConfig that decides a module's scale; the defaults are PEFT's.
struct LoraConfig {
  std::int64_t r = 8;
  double lora_alpha = 8;
  bool use_rslora = false;
  std::vector<std::pair<std::string, std::int64_t>>
      rank_pattern;                                           // module -> r, the first that matches
  std::vector<std::pair<std::string, double>> alpha_pattern;  // module -> lora_alpha
};

/// From the metadata entry `lora_adapter_metadata`, whose keys carry the component's name
/// ("transformer.r") or, from a model's own saver, none. Nothing when there is no such entry, or
/// none for the transformer. Throws InvalidRequest; Unsupported for DoRA.
std::optional<LoraConfig> read_lora_config(const SafetensorsFile& file);

/// lora_alpha / r, or / sqrt(r) with use_rslora, of one module. Throws InvalidRequest when the
/// module's rank in the file is not what the configuration says.
/// Source: PEFT, tuners/lora/layer.py, LoraLayer.update_layer.
double scale_of(const LoraConfig& config, std::string_view module, std::int64_t rank,
                const std::string& where);

}  // namespace annulus

#include "io/lora_config.h"

#include <cctype>
#include <cmath>

#include "io/json.h"

namespace annulus {

namespace {

/// A key of a pattern is a regular expression that ends a module's path at a dot. Savers write
/// paths, perhaps anchored by '^'; anything cleverer is refused rather than run on outside data.
std::string plain_pattern(const Json& where, std::string_view pattern) {
  std::string plain;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escaped_dot = pattern.substr(i, 2) == "\\.";
    if (escaped_dot) ++i;
    const char c = pattern[i];
    const bool allowed = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
                         (c == '^' && i == 0);
    if (!allowed) where.fail("module paths as keys", pattern);
    plain += c;
  }
  return plain;
}

bool matches(std::string_view pattern, std::string_view module) {
  if (pattern.starts_with('^')) return module == pattern.substr(1);
  if (!module.ends_with(pattern)) return false;
  return module.size() == pattern.size() || module[module.size() - pattern.size() - 1] == '.';
}

template <class T>
std::vector<std::pair<std::string, T>> read_patterns(const Json& config, const std::string& key) {
  std::vector<std::pair<std::string, T>> patterns;
  const std::optional<Json> object = config.find(key);
  if (!object) return patterns;
  for (const auto& [pattern, value] : object->members())
    patterns.emplace_back(plain_pattern(*object, pattern), value.template as<T>());
  return patterns;
}

template <class T>
T pick(const std::vector<std::pair<std::string, T>>& patterns, std::string_view module,
       T fallback) {
  for (const auto& [pattern, value] : patterns)
    if (matches(pattern, module)) return value;
  return fallback;
}

}  // namespace

std::optional<LoraConfig> read_lora_config(const SafetensorsFile& file) {
  const auto entry = file.metadata().find("lora_adapter_metadata");
  if (entry == file.metadata().end() || entry->second.empty()) return std::nullopt;
  const Json json = Json::parse(entry->second, file.path().string() + ", lora_adapter_metadata",
                                ErrorCode::InvalidRequest);
  std::string prefix = "transformer.";
  if (!json.has(prefix + "r") && !json.has(prefix + "lora_alpha")) prefix.clear();
  if (!json.has(prefix + "r") && !json.has(prefix + "lora_alpha")) return std::nullopt;
  require(!json.get<bool>(prefix + "use_dora", false), ErrorCode::Unsupported,
          "LoRA: wanted plain LoRA, found DoRA (", json.where(), ")");

  LoraConfig config;
  config.r = json.get<std::int64_t>(prefix + "r", config.r);
  config.lora_alpha = json.get<double>(prefix + "lora_alpha", config.lora_alpha);
  config.use_rslora = json.get<bool>(prefix + "use_rslora", false);
  config.rank_pattern = read_patterns<std::int64_t>(json, prefix + "rank_pattern");
  config.alpha_pattern = read_patterns<double>(json, prefix + "alpha_pattern");
  return config;
}

double scale_of(const LoraConfig& config, std::string_view module, std::int64_t rank,
                const std::string& where) {
  const std::int64_t wanted = pick(config.rank_pattern, module, config.r);
  require(wanted == rank, ErrorCode::InvalidRequest, "LoRA: wanted rank ", wanted, " of ", module,
          " as the metadata say, found ", rank, " (", where, ")");
  const double alpha = pick(config.alpha_pattern, module, config.lora_alpha);
  require(std::isfinite(alpha), ErrorCode::InvalidRequest, "LoRA: wanted a finite alpha of ",
          module, ", found ", alpha, " (", where, ")");
  const auto r = static_cast<double>(rank);
  return alpha / (config.use_rslora ? std::sqrt(r) : r);
}

}  // namespace annulus

// What `annulus generate` may be told: one list of settings serves the command line, lines of a
// batch file and the metadata of a picture (--from). Start with `generate_settings`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/dtype.h"

namespace annulus::cli {

enum class Choice { Auto, On, Off };

struct LoraOption {
  std::filesystem::path file;
  float scale = 1;
};

struct GenerateOptions {
  // what to draw: each may differ from line to line of a batch
  std::vector<std::string> prompts;
  std::optional<std::string> negative_prompt;
  std::optional<std::int64_t> width, height;
  std::optional<std::int64_t> frames;
  std::optional<double> fps;
  std::optional<int> steps;
  std::optional<float> guidance_scale, guidance_scale_2, true_cfg_scale, strength;
  std::optional<int> max_sequence_length;
  std::optional<std::uint64_t> seed;
  int count = 1;
  std::vector<std::filesystem::path> images;
  std::filesystem::path latents, save_latents;
  std::string output = "{prompt}-{seed}.png";
  bool overwrite = false;
  int quality = 95;  // of JPEG and lossy WebP

  // how: once per run
  std::filesystem::path model, prompt_file, batch_file, from, json;
  bool resume = false;
  int batch_size = 1;
  std::vector<LoraOption> loras;
  std::optional<DType> dtype;
  std::map<std::string, DType, std::less<>> component_dtype;
  int threads = 0;
  std::string platform, attention_backend;
  std::map<std::string, std::string, std::less<>> component_attention;
  Choice vae_tiling = Choice::Auto, show = Choice::Auto;
  int preview_every = 0, checkpoint_every = 0;
  std::filesystem::path resume_job;
  std::optional<int> ranks, ring_degree, ulysses_degree;
  bool cfg_parallel = false, shared_memory = true, deterministic = false;
  double rank_deadline = 30;  // seconds
  bool explain = false, dry_run = false, quiet = false, verbose = false;
};

/// Where a setting may stand, and under which heading of the help.
struct Setting {
  std::string name;                  // "true-cfg-scale"
  std::vector<std::string> aliases;  // other names, without dashes
  std::string value;                 // "N", "FILE", ...; empty: a flag
  std::string group;
  bool common;       // shown by --help, not only by --help-all
  bool per_picture;  // may stand in a line of a batch
  bool repeatable;
  std::string help;  // ends with the default and the unit
  std::function<void(GenerateOptions&, const std::string&)> set;
  std::function<void(GenerateOptions&)> clear =
      {};  // of repeatable ones: forgets the values there are
};

std::span<const Setting> generate_settings();

/// The setting of that name or alias ("true-cfg-scale" or "true_cfg_scale"); null: there is none.
const Setting* find_setting(std::string_view name);

/// "128x192" -> width, height in pixels. Throws InvalidRequest.
std::pair<std::int64_t, std::int64_t> parse_size(const std::string& text);

}  // namespace annulus::cli

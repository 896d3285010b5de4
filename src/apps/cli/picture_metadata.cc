#include "apps/cli/picture_metadata.h"

#include <algorithm>
#include <array>
#include <functional>

#include "apps/cli/default_model.h"
#include "apps/cli/program.h"
#include "engine/fingerprint.h"
#include "io/metadata.h"

namespace annulus::cli {

namespace {

// Settings that change what is drawn, under their names in metadata.
constexpr std::array<std::string_view, 23> kSettings = {"width",
                                                        "height",
                                                        "prompt",
                                                        "negative_prompt",
                                                        "size",
                                                        "frames",
                                                        "fps",
                                                        "guidance_scale_2",
                                                        "steps",
                                                        "true_cfg_scale",
                                                        "strength",
                                                        "guidance_scale",
                                                        "seed",
                                                        "image",
                                                        "latents",
                                                        "lora",
                                                        "model",
                                                        "dtype",
                                                        "component_dtype",
                                                        "vae_tiling",
                                                        "platform",
                                                        "attention_backend",
                                                        "component_attention"};

// Changes no picture, but a long prompt cannot be drawn again without it.
constexpr std::string_view kLimit = "max_sequence_length";

// Names of files that settings hold: what is compared is the files' digest.
constexpr std::array<std::string_view, 4> kPlaces = {"model", "image", "latents", "lora"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string number_text(float value) {
  return Json(value).dump();
}

// The model that comes with the program by its name: its place differs from machine to machine.
std::string model_text(const std::filesystem::path& model) {
  std::error_code ignored;
  const std::optional<std::filesystem::path> ours = find_default_model();
  return ours && std::filesystem::equivalent(model, *ours, ignored) ? std::string(kDefaultModelName)
                                                                    : model.string();
}

std::string files_digest(const Engine& engine, const GenerateOptions& options) {
  std::vector<std::filesystem::path> inputs = options.images;
  if (!options.latents.empty()) inputs.push_back(options.latents);
  std::vector<Statement> lines = fingerprint(inputs);
  lines.push_back({"model", engine.files_digest()});
  return digest_of(lines);
}

// "NAME=VALUE" of each, as the options take them.
template <class Map, class Text>
Json pairs_of(const Map& map, Text&& text) {
  Json pairs = Json::array();
  for (const auto& [name, value] : map) pairs.push(text_of(name, "=", text(value)));
  return pairs;
}

// An input's path (with ":SCALE" of a LoRA) as it can be opened from here.
std::string found_path(const std::string& stored, bool scaled,
                       const std::filesystem::path& picture) {
  const std::size_t end = scaled ? std::min(stored.rfind(':'), stored.size()) : stored.size();
  const std::filesystem::path path = stored.substr(0, end), beside = picture.parent_path() / path;
  std::error_code ignored;
  return !std::filesystem::exists(path, ignored) && std::filesystem::exists(beside, ignored)
             ? beside.string() + stored.substr(end)
             : stored;
}

}  // namespace

Json metadata_json(const Engine& engine, const Job& job, const Request& completed,
                   int index_in_request) {
  const auto i = static_cast<std::size_t>(index_in_request);
  Json made = Json::object({{"annulus", version()},
                            {"model", model_text(job.options.model)},
                            {"model_class", engine.model_class()},
                            {"prompt", job.prompt},
                            {"seed", job.seed},
                            {"size", text_of(completed.width, "x", completed.height)},
                            {"steps", completed.steps},
                            {"dtype", std::string(name_of(engine.dtype()))},
                            {"platform", std::string(engine.platform().name())}});
  const std::vector<std::string>& negative = completed.negative_prompts;
  if (!negative.empty()) made.set("negative_prompt", negative[negative.size() == 1 ? 0 : i]);
  if (completed.true_cfg_scale) made.set("true_cfg_scale", *completed.true_cfg_scale);
  if (completed.guidance_scale) made.set("guidance_scale", *completed.guidance_scale);
  if (completed.guidance_scale_2) made.set("guidance_scale_2", *completed.guidance_scale_2);
  if (completed.frames > 1) made.set("frames", completed.frames).set("fps", completed.fps);
  if (completed.strength) made.set("strength", *completed.strength);
  Json images = Json::array(), loras = Json::array();
  for (const std::filesystem::path& image : job.options.images) images.push(image.string());
  for (const LoraOption& lora : job.options.loras)
    loras.push(lora.file.string() + ":" + number_text(lora.scale));
  if (images.size() > 0) made.set("image", images);
  if (loras.size() > 0) made.set("lora", loras);
  const GenerateOptions& options = job.options;
  if (options.max_sequence_length) made.set(kLimit, *options.max_sequence_length);
  if (!options.latents.empty()) made.set("latents", options.latents.string());
  if (!options.component_dtype.empty())
    made.set("component_dtype", pairs_of(options.component_dtype, name_of));
  if (options.vae_tiling != Choice::Auto)
    made.set("vae_tiling", options.vae_tiling == Choice::On ? "on" : "off");
  if (!options.attention_backend.empty()) made.set("attention_backend", options.attention_backend);
  if (!options.component_attention.empty())
    made.set("component_attention", pairs_of(options.component_attention, std::identity{}));
  made.set("files", files_digest(engine, options));
  return made;
}

Json settings_in(const Json& metadata, const std::filesystem::path& picture) {
  Json settings = Json::object({});
  for (const auto& [key, value] : metadata.members()) {
    if (!is_one_of(kSettings, key) && key != kLimit) continue;
    const auto found = [&, scaled = key == "lora"](const Json& stored) {
      return stored.is_string() ? Json(found_path(stored.as<std::string>(), scaled, picture))
                                : stored;
    };
    if (!is_one_of(kPlaces, key) || key == "model") {
      settings.set(key, value);
    } else if (value.is_array()) {
      Json paths = Json::array();
      for (const Json& element : value.elements()) paths.push(found(element));
      settings.set(key, paths);
    } else {
      settings.set(key, found(value));
    }
  }
  return settings;
}

ImageText image_text(const Json& metadata) {
  GenerationText text = {.prompt = metadata.get<std::string>("prompt"),
                         .negative_prompt = metadata.get<std::string>("negative_prompt", ""),
                         .settings = {}};
  text.settings.emplace_back("Steps", metadata["steps"].dump());
  if (const auto scale = metadata.find("true_cfg_scale"))
    text.settings.emplace_back("CFG scale", scale->dump());
  text.settings.emplace_back("Seed", metadata["seed"].dump());
  text.settings.emplace_back("Size", metadata.get<std::string>("size"));
  text.settings.emplace_back(
      "Model", std::filesystem::path(metadata.get<std::string>("model")).filename().string());
  text.settings.emplace_back("Version", "annulus " + metadata.get<std::string>("annulus"));
  return {.parameters = format_parameters(text), .json = metadata.dump()};
}

bool same_settings(const Json& a, const Json& b, bool with_seed) {
  const auto same = [&](std::string_view key) {
    const std::optional<Json> x = a.find(key), y = b.find(key);
    return x.has_value() == y.has_value() && (!x || x->dump() == y->dump());
  };
  for (const std::string_view key : kSettings)
    if (!is_one_of(kPlaces, key) && (key != "seed" || with_seed) && !same(key)) return false;
  return same("files") && same("model_class");
}

}  // namespace annulus::cli

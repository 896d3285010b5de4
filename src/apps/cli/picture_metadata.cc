#include "apps/cli/picture_metadata.h"

#include <array>

#include "apps/cli/default_model.h"
#include "apps/cli/program.h"
#include "io/metadata.h"

namespace annulus::cli {

namespace {

// Settings that two pictures of the same making share, the seed apart.
constexpr std::array<std::string_view, 11> kSettings = {
    "prompt",   "negative_prompt", "size",    "steps", "true_cfg_scale", "guidance_scale",
    "strength", "image",           "latents", "lora",  "model_class"};

std::string number_text(float value) {
  return Json(value).dump();
}

// The model that comes with the program by its name: its place differs from machine to machine.
std::string model_text(const std::filesystem::path& model) {
  std::error_code ignored;
  return model.filename() == kDefaultModelName &&
                 std::filesystem::equivalent(model, default_model(), ignored)
             ? std::string(kDefaultModelName)
             : model.string();
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
  if (completed.strength) made.set("strength", *completed.strength);
  Json images = Json::array(), loras = Json::array();
  for (const std::filesystem::path& image : job.options.images) images.push(image.string());
  for (const LoraOption& lora : job.options.loras)
    loras.push(lora.file.string() + ":" + number_text(lora.scale));
  if (images.size() > 0) made.set("image", images);
  if (loras.size() > 0) made.set("lora", loras);
  if (!job.options.latents.empty()) made.set("latents", job.options.latents.string());
  return made;
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
    if (!same(key)) return false;
  return !with_seed || same("seed");
}

}  // namespace annulus::cli

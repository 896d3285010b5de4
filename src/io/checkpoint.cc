#include "io/checkpoint.h"

#include <algorithm>
#include <array>
#include <mutex>

namespace annulus {

namespace fs = std::filesystem;

struct Checkpoint::State {
  fs::path folder;
  std::string variant;
  Json index;
  std::string pipeline_class;
  std::vector<Component> components;
  std::mutex mutex;
  std::map<std::string, WeightFiles, std::less<>> weights;  // guarded by `mutex`
};

std::vector<Component> read_components(const Json& index, const fs::path& folder) {
  std::vector<Component> components;
  for (const auto& [name, value] : index.members()) {
    // ["diffusers", "AutoencoderKL"] is a component, [null, null] one that this model does without;
    // all else is a setting of the pipeline.
    if (name.starts_with('_') || !value.is_array() || value.size() != 2) continue;
    if (!value.at(0).is_string() || !value.at(1).is_string()) continue;
    if (name.empty() || name.find('/') != std::string_view::npos || name == "." || name == "..")
      value.fail("a component whose name is that of a folder", text_of('"', name, '"'));
    components.push_back({std::string(name), value.at(0).as<std::string>(),
                          value.at(1).as<std::string>(), folder / name});
  }
  return components;
}

Checkpoint::Checkpoint(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

Checkpoint Checkpoint::open(const fs::path& folder, std::string variant) {
  std::error_code status;
  require(fs::is_directory(folder, status), ErrorCode::NotFound, "model: wanted a folder, found ",
          fs::exists(folder, status) ? "something else" : "none", " (", folder.string(), ")");
  const fs::path index = folder / "model_index.json";
  if (!fs::exists(index, status))
    throw Error(ErrorCode::CorruptFile,
                text_of("model: wanted model_index.json, found none (", folder.string(), ")"),
                "a model is a folder in diffusers' layout");

  auto state = std::make_shared<State>();
  state->folder = folder;
  state->variant = std::move(variant);
  state->index = Json::read(index, ErrorCode::CorruptFile);
  state->pipeline_class = state->index.get<std::string>("_class_name");
  state->components = read_components(state->index, folder);
  return Checkpoint(std::move(state));
}

const fs::path& Checkpoint::folder() const noexcept {
  return state_->folder;
}
const std::string& Checkpoint::pipeline_class() const noexcept {
  return state_->pipeline_class;
}
const Json& Checkpoint::index() const noexcept {
  return state_->index;
}
std::span<const Component> Checkpoint::components() const noexcept {
  return state_->components;
}

bool Checkpoint::has_component(std::string_view name) const noexcept {
  return std::any_of(state_->components.begin(), state_->components.end(),
                     [&](const Component& c) { return c.name == name; });
}

const Component& Checkpoint::component(std::string_view name) const {
  std::string there;
  for (const Component& c : state_->components) {
    if (c.name == name) return c;
    there += (there.empty() ? "" : ", ") + c.name;
  }
  throw Error(ErrorCode::CorruptFile,
              text_of("component: wanted ", name, ", found ", there.empty() ? "none" : there, " (",
                      state_->index.where(), ")"));
}

std::optional<fs::path> Checkpoint::find_file(std::string_view component_name,
                                              std::string_view name) const {
  const fs::path path = component(component_name).folder / name;
  std::error_code status;
  return fs::is_regular_file(path, status) ? std::optional(path) : std::nullopt;
}

fs::path Checkpoint::file(std::string_view component_name, std::string_view name) const {
  const std::optional<fs::path> path = find_file(component_name, name);
  require(path.has_value(), ErrorCode::CorruptFile, component_name, ": wanted the file ", name,
          ", found none (", component(component_name).folder.string(), ")");
  return *path;
}

Json Checkpoint::config(std::string_view component_name) const {
  constexpr std::array<std::string_view, 5> kNames = {
      "config.json", "scheduler_config.json", "preprocessor_config.json", "processor_config.json",
      "tokenizer_config.json"};
  for (const std::string_view name : kNames)
    if (const auto path = find_file(component_name, name))
      return Json::read(*path, ErrorCode::CorruptFile);
  throw Error(ErrorCode::CorruptFile,
              text_of(component_name, ": wanted config.json or its like, found none (",
                      component(component_name).folder.string(), ")"));
}

WeightFiles Checkpoint::weight_files(std::string_view component_name) const {
  const Component& wanted = component(component_name);
  const std::lock_guard lock(state_->mutex);
  const auto opened = state_->weights.find(component_name);
  if (opened != state_->weights.end()) return opened->second;
  return state_->weights.emplace(wanted.name, WeightFiles::open(wanted.folder, state_->variant))
      .first->second;
}

WeightScope Checkpoint::weights(std::string_view component_name, Device& device,
                                std::shared_ptr<const LoraSet> lora) const {
  return {weight_files(component_name), device, std::move(lora)};
}

DType Checkpoint::weights_dtype(std::string_view component_name) const {
  return weight_files(component_name).dtype();
}

}  // namespace annulus

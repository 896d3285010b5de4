#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>

#include "apps/cli/commands.h"
#include "apps/cli/default_model.h"
#include "apps/cli/report.h"
#include "engine/engine.h"
#include "io/checkpoint.h"

namespace annulus::cli {

namespace {

struct InfoOptions {
  std::filesystem::path model;
  std::string json;
};

std::string megabytes(std::size_t bytes) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(bytes < 10000000 ? 1 : 0)
       << static_cast<double>(bytes) / 1e6 << " MB";
  return text.str();
}

bool has_weights(const Component& component) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(component.folder, ignored))
    if (entry.path().extension() == ".safetensors") return true;
  return false;
}

Json describe_component(const Checkpoint& checkpoint, const Component& component) {
  Json made = Json::object({{"name", component.name}, {"class", component.class_name}});
  if (!has_weights(component)) return made;
  const WeightStatistics statistics = checkpoint.weight_files(component.name).statistics();
  Json dtypes = Json::object();
  for (const auto& [dtype, bytes] : statistics.bytes_by_dtype) dtypes.set(dtype, bytes);
  return made.set("files", statistics.files)
      .set("tensors", statistics.tensors)
      .set("bytes", statistics.bytes)
      .set("dtypes", dtypes);
}

// What only a loaded model can say: its attention and its need of memory at the default size, or
// why it cannot be loaded here.
void describe_loaded(const InfoOptions& options, Json& made) {
  try {
    Engine engine({.checkpoint = options.model});
    const Request request = engine.complete({.prompts = {"a"}, .seeds = {0}});
    Json attention = Json::array();
    for (const AttentionBackend* backend : engine.platform().attention()) {
      Json refusals = Json::array();
      for (const ComponentAttention& layer : engine.pipeline().attention())
        if (const auto why = backend->refusal(layer.choice.spec))
          refusals.push(text_of(layer.component, ": ", *why));
      attention.push(
          Json::object({{"backend", std::string(backend->name())}, {"refuses", refusals}}));
    }
    made.set("attention", attention);
    made.set("default", Json::object({{"width", request.width},
                                      {"height", request.height},
                                      {"steps", request.steps},
                                      {"dtype", std::string(name_of(engine.dtype()))},
                                      {"ranks", 1},
                                      {"bytes", engine.pipeline().predict_memory(request).peak}}));
  } catch (const Error& error) {
    made.set("not_loaded", std::string(error.what()));
  }
}

void print(const Json& model) {
  std::cout << model.get<std::string>("class") << " in " << model.get<std::string>("model") << '\n';
  for (const Json& component : model["components"].elements()) {
    std::cout << "  " << std::left << std::setw(16) << component.get<std::string>("name")
              << std::setw(40) << component.get<std::string>("class");
    if (component.has("bytes")) {
      std::cout << std::setw(12) << megabytes(component.get<std::size_t>("bytes"));
      for (const auto& [dtype, bytes] : component["dtypes"].members()) std::cout << ' ' << dtype;
      std::cout << ", " << component.get<std::size_t>("tensors") << " tensors in "
                << component.get<std::size_t>("files")
                << (component.get<std::size_t>("files") == 1 ? " file" : " files");
    }
    std::cout << '\n';
  }
  if (const auto why = model.find("not_loaded")) {
    std::cout << "cannot be run here: " << why->as<std::string>() << '\n';
    return;
  }
  const Json& usual = model["default"];
  std::cout << "memory: " << megabytes(usual.get<std::size_t>("bytes")) << " for "
            << usual.get<int>("width") << "x" << usual.get<int>("height") << " pixels, "
            << usual.get<int>("steps") << " steps in " << usual.get<std::string>("dtype")
            << " on one rank\n";
  for (const Json& backend : model["attention"].elements()) {
    std::cout << "attention " << backend.get<std::string>("backend") << ": ";
    const Json& refuses = backend["refuses"];
    std::cout << (refuses.size() == 0 ? "serves every layer"
                                      : text_of("refuses ", refuses.size(),
                                                " layers: ", refuses.at(0).as<std::string>()))
              << '\n';
  }
}

}  // namespace

int run_info(const Arguments& arguments) {
  InfoOptions options;
  CLI::App app("What a model folder holds, and what it needs.", "annulus info");
  app.add_option("MODEL", options.model,
                 "folder in diffusers' layout [the storybook model that comes with annulus]");
  app.add_option("--json", options.json,
                 "write what was found there as JSON ('-': stdout, in place of the text)");
  if (parse(app, arguments) == Parsed::HelpShown) return 0;
  if (options.model.empty() ||
      (options.model == kDefaultModelName && !std::filesystem::exists(options.model)))
    options.model = default_model();

  const Checkpoint checkpoint = Checkpoint::open(options.model);
  Json components = Json::array();
  for (const Component& component : checkpoint.components())
    components.push(describe_component(checkpoint, component));
  Json model = Json::object({{"model", options.model.string()},
                             {"class", checkpoint.pipeline_class()},
                             {"components", components}});
  describe_loaded(options, model);
  if (options.json != "-") print(model);
  if (!options.json.empty()) write_report(options.json, model);
  return 0;
}

}  // namespace annulus::cli

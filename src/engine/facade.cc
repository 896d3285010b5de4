// The installed header over this folder.
#include <annulus/engine.hpp>
#include <utility>

#include "engine/engine.h"

namespace annulus::engine {

struct Engine::Parts {
  annulus::Engine engine;
};

namespace {

EngineConfig config_of(const Options& options) {
  EngineConfig config;
  config.checkpoint = options.model;
  config.platform = options.platform;
  config.threads = options.threads;
  config.attention_backend = options.attention_backend;
  if (!options.dtype.empty()) {
    config.dtype = dtype_of(options.dtype);
    require(config.dtype.has_value(), ErrorCode::InvalidRequest,
            "dtype: wanted f32, bf16 or f16, found ", options.dtype);
  }
  return config;
}

}  // namespace

Engine::Engine(const Options& options) : parts_(new Parts{annulus::Engine(config_of(options))}) {}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

std::vector<Picture> Engine::run(const Request& request, const Progress& progress) {
  annulus::Request own;
  own.prompts = request.prompts;
  own.negative_prompts = request.negative_prompts;
  own.seeds = request.seeds;
  own.width = request.width;
  own.height = request.height;
  own.steps = request.steps;
  own.guidance_scale = request.guidance_scale;
  own.true_cfg_scale = request.true_cfg_scale;
  own.max_sequence_length = request.max_sequence_length;

  bool stopped = false;
  annulus::Progress watch;
  if (progress) {
    watch.report = [&](std::string_view stage, int done, int total) {
      if (!progress(std::string(stage).c_str(), done, total)) stopped = true;
    };
    watch.cancelled = [&] { return stopped; };
  }
  std::vector<Picture> pictures;
  try {
    for (Image& image : parts_->engine.run(std::move(own), watch).images)
      pictures.push_back({image.width, image.height, std::move(image.pixels)});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Cancelled) throw Stopped(error.what());
    throw;
  }
  return pictures;
}

}  // namespace annulus::engine
